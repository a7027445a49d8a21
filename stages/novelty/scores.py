"""Novelty: how little a photo resembles the classes that a network was trained on.

Published scores from the logits or the pooled features of one network; a higher one is more novel. None of them needs
photos of unknown classes. Scoring needs NumPy alone, as a server has no SciPy.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from stages.scoring.network_outputs import NetworkOutputs

# What a score keeps of the photos of train, by name.
Reference = Mapping[str, np.ndarray]
# A shorter feature vector has no direction.
_LEAST_LENGTH = 1e-12
# Nearer photos count as so near: half precision, in which directions are kept, tells no more, and copies have 0.
_LEAST_DISTANCE = 0.01
# Distances of so many photos at a time: those of all to all photos of train would not fit into memory.
_CHUNK = 256


class NoveltyScore(NamedTuple):
    """A score: `fit` makes its reference of outputs for train, labels (N,) and the number of neighbours; `score` gives
    the novelty (N,) float64 of outputs by it. `compares_photos`: with each photo of train, which so many need not be.
    """

    fit: Callable[[NetworkOutputs, np.ndarray, int], Reference]
    score: Callable[[NetworkOutputs, Reference], np.ndarray]
    compares_photos: bool = False


def max_softmax(outputs: NetworkOutputs, _: Reference) -> np.ndarray:
    """Minus the probability of the likeliest class, -1..-1/C (Hendrycks & Gimpel 2017, arXiv:1610.02136, section 2)."""
    logits = outputs.logits.astype(np.float64)
    return np.asarray(-np.exp(logits.max(axis=1) - np.logaddexp.reduce(logits, axis=1)))


def energy(outputs: NetworkOutputs, _: Reference) -> np.ndarray:
    """The free energy at temperature 1, in nats (Liu et al. 2020, arXiv:2010.03759, section 3.1, equation 4)."""
    return np.asarray(-np.logaddexp.reduce(outputs.logits.astype(np.float64), axis=1))


def fit_neighbours(outputs: NetworkOutputs, labels: np.ndarray, n_neighbours: int) -> Reference:
    """The directions (N, D) float16 of the features of train, and the number of neighbours, at most N."""
    n = min(n_neighbours, len(labels))
    return {"directions": _directions(outputs.features).astype(np.float16), "neighbours": np.array(n, np.int32)}


def neighbours(outputs: NetworkOutputs, reference: Reference) -> np.ndarray:
    """The distance, 0..2, to the k-th nearest photo of train, features scaled to length 1.

    Sun et al. 2022, arXiv:2204.06507, section 3. A photo of train is its own neighbour.
    """
    return _nearest_photos(outputs.features, reference["directions"], int(reference["neighbours"])).distances[:, -1]


def fit_outlier_factor(outputs: NetworkOutputs, labels: np.ndarray, n_neighbours: int) -> Reference:
    """As `fit_neighbours`, and the distance (N,) float32 of each photo of train to its k-th nearest other one."""
    reference = fit_neighbours(outputs, labels, n_neighbours)
    # Each photo is its own nearest, and one alone has no other.
    k = min(int(reference["neighbours"]) + 1, len(labels))
    own = _nearest_photos(outputs.features, reference["directions"], k).distances[:, -1]
    return {**reference, "own_distances": np.maximum(own, _LEAST_DISTANCE).astype(np.float32)}


def local_outlier_factor(outputs: NetworkOutputs, reference: Reference) -> np.ndarray:
    """The logarithm of the simplified local outlier factor: 0 where photos of train are as far from each other.

    The distance to the k-th nearest photo of train, features scaled to length 1, over those of the k nearest ones to
    theirs, on average (Schubert, Zimek & Kriegel 2014, Local outlier detection reconsidered, Data Mining and Knowledge
    Discovery 28(1)). What is as far from a class as its photos are from each other is no outlier, however far that is.
    """
    nearest = _nearest_photos(outputs.features, reference["directions"], int(reference["neighbours"]))
    distance = np.maximum(nearest.distances[:, -1:], _LEAST_DISTANCE)
    return np.asarray(np.log((distance / reference["own_distances"][nearest.rows]).mean(axis=1)))


def fit_gaussians(outputs: NetworkOutputs, labels: np.ndarray, _: int) -> Reference:
    """The means (C, D) of the classes that occur, and the inverse (D, D) of the covariance that they share.

    The covariance is shrunk as by Ledoit & Wolf 2004, A well-conditioned estimator for large-dimensional covariance
    matrices: with fewer photos than features there is no inverse without.
    """
    features = outputs.features.astype(np.float64)
    present = np.unique(labels)
    means = np.stack([features[labels == number].mean(axis=0) for number in present])
    within = features - means[np.searchsorted(present, labels)]
    return {"means": means.astype(np.float32), "precision": _precision(within)}


def mahalanobis(outputs: NetworkOutputs, reference: Reference) -> np.ndarray:
    """The squared Mahalanobis distance to the nearest class (Lee et al. 2018, arXiv:1807.03888, section 2.1)."""
    return _nearest(outputs.features, reference["means"], reference["precision"])


def fit_relative(outputs: NetworkOutputs, labels: np.ndarray, n: int) -> Reference:
    """As `fit_gaussians`, and the mean (1, D) and inverse covariance (D, D) of all photos as one class."""
    features = outputs.features.astype(np.float64)
    mean = features.mean(axis=0, keepdims=True)
    overall = {"overall_mean": mean.astype(np.float32), "overall_precision": _precision(features - mean)}
    return {**fit_gaussians(outputs, labels, n), **overall}


def relative_mahalanobis(outputs: NetworkOutputs, reference: Reference) -> np.ndarray:
    """The squared distance to the nearest class less that to all photos (Ren et al. 2021, arXiv:2106.09022, 3)."""
    overall = _nearest(outputs.features, reference["overall_mean"], reference["overall_precision"])
    return mahalanobis(outputs, reference) - overall


class _NearestPhotos(NamedTuple):
    """The numbers (N, k) of the k nearest photos of train, nearest first, and the `distances` (N, k) float64, 0..2."""

    rows: np.ndarray
    distances: np.ndarray


def _nearest_photos(features: np.ndarray, directions: np.ndarray, k: int) -> _NearestPhotos:
    known = directions.astype(np.float32)

    def of_chunk(some: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        cosines = _directions(some) @ known.T
        rows = np.argpartition(cosines, -k, axis=1)[:, -k:]
        rows = np.take_along_axis(rows, np.argsort(-np.take_along_axis(cosines, rows, 1), axis=1, kind="stable"), 1)
        # |x - y|^2 = 2 - 2 x.y for vectors of length 1.
        return rows, np.sqrt(np.maximum(2 - 2 * np.take_along_axis(cosines, rows, 1).astype(np.float64), 0))

    chunks = [of_chunk(features[start : start + _CHUNK]) for start in range(0, len(features), _CHUNK)]
    none = np.zeros((0, k), np.intp), np.zeros((0, k))
    return _NearestPhotos(*(np.concatenate(parts) for parts in zip(none, *chunks)))


def _directions(features: np.ndarray) -> np.ndarray:
    """The features (N, D) scaled to length 1."""
    return np.asarray(features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), _LEAST_LENGTH))


def _precision(centred: np.ndarray) -> np.ndarray:
    from sklearn.covariance import ledoit_wolf  # slow to import, and prediction fits nothing

    covariance, _ = ledoit_wolf(centred, assume_centered=True)
    return np.asarray(np.linalg.inv(covariance).astype(np.float32))


def _nearest(features: np.ndarray, means: np.ndarray, precision: np.ndarray) -> np.ndarray:
    """The least squared distance (N,) of features (N, D) to any of `means` (C, D)."""
    # |x - m|^2 = x.x - 2 x.m + m.m takes one large product in place of one for each class; from their middle on, for
    # the terms are then no larger than the result.
    middle, inverse = means.mean(axis=0), precision.astype(np.float64)
    x, m = features.astype(np.float64) - middle, means.astype(np.float64) - middle
    scaled = x @ inverse
    squares = np.einsum("nd,nd->n", scaled, x)[:, None] + np.einsum("cd,cd->c", m @ inverse, m)
    return np.asarray((squares - 2 * scaled @ m.T).min(axis=1))


def _fit_nothing(*_: object) -> Reference:
    return {}


SCORES: Mapping[str, NoveltyScore] = {
    "max_softmax": NoveltyScore(_fit_nothing, max_softmax),
    "energy": NoveltyScore(_fit_nothing, energy),
    "neighbours": NoveltyScore(fit_neighbours, neighbours, compares_photos=True),
    "local_outlier_factor": NoveltyScore(fit_outlier_factor, local_outlier_factor, compares_photos=True),
    "mahalanobis": NoveltyScore(fit_gaussians, mahalanobis),
    "relative_mahalanobis": NoveltyScore(fit_relative, relative_mahalanobis),
}
