"""Novelty: how little a photo resembles the classes that a network was trained on.

Published scores from the logits or the pooled features of one network; a higher one is more novel. None of them needs
photos of unknown classes. Scoring needs NumPy alone, as a server has no SciPy.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

# What a score keeps of the photos of train, by name.
Reference = Mapping[str, np.ndarray]
# A shorter feature vector has no direction.
_LEAST_LENGTH = 1e-12
# Distances of so many photos at a time: those of all to all photos of train would not fit into memory.
_CHUNK = 256


class NetworkOutputs(NamedTuple):
    """What a network gives for N photos: pooled `features` (N, D) and `logits` (N, C), float32."""

    features: np.ndarray
    logits: np.ndarray

    def select(self, rows: np.ndarray) -> "NetworkOutputs":
        """The photos of `rows`: their numbers, or a mask (N,) bool."""
        return NetworkOutputs(self.features[rows], self.logits[rows])


class NoveltyScore(NamedTuple):
    """A score: `fit` makes its reference of outputs for train, labels (N,) and the number of neighbours; `score` gives
    the novelty (N,) float64 of outputs by it.
    """

    fit: Callable[[NetworkOutputs, np.ndarray, int], Reference]
    score: Callable[[NetworkOutputs, Reference], np.ndarray]


def max_softmax(outputs: NetworkOutputs, _: Reference) -> np.ndarray:
    """Minus the probability of the likeliest class, -1..-1/C (Hendrycks & Gimpel 2017, arXiv:1610.02136, section 2)."""
    logits = outputs.logits.astype(np.float64)
    return np.asarray(-np.exp(logits.max(axis=1) - np.logaddexp.reduce(logits, axis=1)))


def energy(outputs: NetworkOutputs, _: Reference) -> np.ndarray:
    """The free energy at temperature 1, in nats (Liu et al. 2020, arXiv:2010.03759, section 3.1, equation 4)."""
    return np.asarray(-np.logaddexp.reduce(outputs.logits.astype(np.float64), axis=1))


def fit_neighbours(outputs: NetworkOutputs, labels: np.ndarray, n_neighbours: int) -> Reference:
    """The directions (N, D) float16 of the features of train."""
    n = min(n_neighbours, len(labels))
    return {"directions": _directions(outputs.features).astype(np.float16), "neighbours": np.array(n, np.int32)}


def neighbours(outputs: NetworkOutputs, reference: Reference) -> np.ndarray:
    """The distance, 0..2, to the k-th nearest photo of train, features scaled to length 1.

    Sun et al. 2022, arXiv:2204.06507, section 3. A photo of train is its own neighbour.
    """
    known, k = reference["directions"].astype(np.float32), int(reference["neighbours"])

    def of_chunk(features: np.ndarray) -> np.ndarray:
        # |x - y|^2 = 2 - 2 x.y for vectors of length 1.
        nearest = np.partition(_directions(features) @ known.T, -k, axis=1)[:, -k]
        return np.asarray(np.sqrt(np.maximum(2 - 2 * nearest, 0)))

    chunks = [outputs.features[start : start + _CHUNK] for start in range(0, len(outputs.features), _CHUNK)]
    return np.concatenate([np.zeros(0), *map(of_chunk, chunks)])


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
    "neighbours": NoveltyScore(fit_neighbours, neighbours),
    "mahalanobis": NoveltyScore(fit_gaussians, mahalanobis),
    "relative_mahalanobis": NoveltyScore(fit_relative, relative_mahalanobis),
}
