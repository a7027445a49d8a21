"""Outliers: photos far from all photos of a training set in a network's feature space."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

# Interquartile ranges above the upper quartile, the outer fence of Tukey 1977, Exploratory Data Analysis, section 2D.
_OUTLIER_FACTOR = 3.0


def distances(train: np.ndarray, others: np.ndarray, n_neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean cosine distance, 0..2, to the nearest rows of `train` (N, D), for `train` (N,) and `others` (M,).

    A row of `train` is not its own neighbour. If `train` has fewer rows than `n_neighbours`, all of them count; the
    distance of a single row is 0. (Ramaswamy et al. 2000, section 2, with the mean in place of the farthest.)
    """
    n_within, n_between = min(n_neighbours, len(train) - 1), min(n_neighbours, len(train))
    index = NearestNeighbors(metric="cosine").fit(train)
    within = index.kneighbors(n_neighbors=n_within)[0].mean(axis=1) if n_within else np.zeros(len(train))
    if not len(others):
        return within, np.zeros(0)
    return within, index.kneighbors(others, n_between)[0].mean(axis=1)


def outlier_threshold(train_distances: np.ndarray) -> float:
    """Return the distance above which a photo is an outlier, from the distances (N,) within the training set."""
    lower, upper = np.percentile(train_distances, [25, 75])
    return float(upper + _OUTLIER_FACTOR * (upper - lower))
