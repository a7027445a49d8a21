"""Linear probes with out-of-fold predictions, near-duplicates always in one fold."""

import warnings
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import softmax
from sklearn.model_selection import StratifiedGroupKFold

from stages.classifiers import linear_head
from stages.scoring.probabilities import log_loss


class Features(NamedTuple):
    """The features of N photos: `values` (N, D) float32, `labels` (N,) in 0..C-1, `groups` N ids of near-duplicates."""

    values: np.ndarray
    labels: np.ndarray
    groups: list[str]


def head_probabilities(head: tuple[np.ndarray, np.ndarray], values: np.ndarray) -> np.ndarray:
    """Return the probabilities (N, C) float64 of features (N, D) by a head: kernel (D, C) and bias (C,)."""
    kernel, bias = head
    return softmax(values.astype(np.float64) @ kernel + bias, axis=1)


def out_of_fold(train: Features, n_classes: int, l2: float, n_folds: int) -> np.ndarray:
    """Return probabilities (N, C), each fold's from a probe fitted on the other folds; uniform for a single group."""
    predicted = np.full((len(train.labels), n_classes), 1 / n_classes)
    for fit_rows, held_out in _folds(train, n_folds):
        head = linear_head.fit_linear_head(train.values[fit_rows], train.labels[fit_rows], n_classes, l2)
        predicted[held_out] = head_probabilities(head, train.values[held_out])
    return predicted


def _folds(train: Features, n_folds: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of indices to fit on and to predict, stratified by class, each group on one side; none for one group."""
    n_folds = min(n_folds, len(set(train.groups)), int(np.bincount(train.labels).max()))
    if n_folds < 2:
        return []
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        pairs = list(splitter.split(train.values, train.labels, train.groups))
    return [(fit_rows, held_out) for fit_rows, held_out in pairs if len(fit_rows) and len(held_out)]


class LinearProbe(NamedTuple):
    """The chosen penalty, the head fitted with it on all photos, and the out-of-fold probabilities (N, C)."""

    l2: float
    head: tuple[np.ndarray, np.ndarray]
    out_of_fold: np.ndarray


def fit_probe(train: Features, n_classes: int, penalties: Sequence[float], n_folds: int) -> LinearProbe:
    """Fit a probe with the penalty of the least out-of-fold log loss; of equal ones, the largest."""
    by_penalty = {l2: out_of_fold(train, n_classes, l2, n_folds) for l2 in penalties}
    best = min(by_penalty, key=lambda l2: (log_loss(train.labels, by_penalty[l2]), -l2))
    head = linear_head.fit_linear_head(train.values, train.labels, n_classes, best)
    return LinearProbe(best, head, by_penalty[best])
