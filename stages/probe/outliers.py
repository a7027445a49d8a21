"""How far a photo lies from all photos of a training set, in the eyes of a network."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

# Of quartiles; beyond such a fence a value is far out (Tukey 1977, Exploratory Data Analysis, section 2D).
_OUTLIER_FACTOR = 3.0


def distances(train: np.ndarray, others: np.ndarray, n_neighbours: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean cosine distance, 0..2, to the nearest photos of `train` (N, D), of these (N,) and of `others`.

    A photo of `train` is not its own neighbour. With fewer photos than `n_neighbours` all of them count; with a
    single one its distance is nought. (Ramaswamy et al. 2000, section 2, with the mean in place of the farthest.)
    """
    n_own, n_of_others = min(n_neighbours, len(train) - 1), min(n_neighbours, len(train))
    index = NearestNeighbors(metric="cosine").fit(train)
    own = index.kneighbors(n_neighbors=n_own)[0].mean(axis=1) if n_own else np.zeros(len(train))
    if not len(others):
        return own, np.zeros(0)
    return own, index.kneighbors(others, n_of_others)[0].mean(axis=1)


def outlier_threshold(own: np.ndarray) -> float:
    """Return the distance beyond which a photo is far from a training set whose own distances are `own` (N,)."""
    lower, upper = np.percentile(own, [25, 75])
    return float(upper + _OUTLIER_FACTOR * (upper - lower))
