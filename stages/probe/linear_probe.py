"""Linear probes judged on photos that they were not fitted on, near-duplicates always kept together."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import softmax
from sklearn.model_selection import StratifiedGroupKFold

from stages.classifiers import linear_head
from stages.scoring.probabilities import log_loss


class Features(NamedTuple):
    """What a network makes of N photos: `values` (N, D) float32, `labels` (N,) of 0..C-1, `groups` N texts."""

    values: np.ndarray
    labels: np.ndarray
    groups: list[str]


def head_probabilities(head: tuple[np.ndarray, np.ndarray], values: np.ndarray) -> np.ndarray:
    """Return the probabilities (N, C) float64 that a head (`probe.fit`) gives features (N, D)."""
    kernel, bias = head
    return softmax(values.astype(np.float64) @ kernel + bias, axis=1)


def out_of_fold(train: Features, n_classes: int, l2: float, n_folds: int) -> np.ndarray:
    """Return probabilities (N, C), each photo's from a probe fitted without its fold; uniform for a single group."""
    found = np.full((len(train.labels), n_classes), 1 / n_classes)
    for fitted, held in _folds(train, n_folds):
        head = linear_head.fit_linear_head(train.values[fitted], train.labels[fitted], n_classes, l2)
        found[held] = head_probabilities(head, train.values[held])
    return found


def _folds(train: Features, n_folds: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of places to fit on and to judge by, classes spread evenly, each group on one side; none for one group."""
    n_folds = min(n_folds, len(set(train.groups)), int(np.bincount(train.labels).max()))
    if n_folds < 2:
        return []
    spread = StratifiedGroupKFold(n_folds, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        pairs = list(spread.split(train.values, train.labels, train.groups))
    return [(fitted, held) for fitted, held in pairs if len(fitted) and len(held)]


class LinearProbe(NamedTuple):
    """The penalty chosen, the head fitted with it on all photos, and the probabilities out of fold (N, C)."""

    l2: float
    head: tuple[np.ndarray, np.ndarray]
    out_of_fold: np.ndarray


def fit_probe(train: Features, n_classes: int, penalties: Sequence[float], n_folds: int) -> LinearProbe:
    """Fit a probe with the penalty of the least log loss out of fold; the larger one of two that do equally well."""
    tried = {l2: out_of_fold(train, n_classes, l2, n_folds) for l2 in penalties}
    best = min(tried, key=lambda l2: (log_loss(train.labels, tried[l2]), -l2))
    return LinearProbe(best, linear_head.fit_linear_head(train.values, train.labels, n_classes, best), tried[best])
