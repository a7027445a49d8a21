"""Linear probes with out-of-fold predictions, near-duplicates always in one fold."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import softmax

from stages.classifiers import linear_head
from stages.scoring import folds
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
    for held_out in folds.held_out(train.labels, train.groups, n_folds):
        head = linear_head.fit_linear_head(train.values[~held_out], train.labels[~held_out], n_classes, l2)
        predicted[held_out] = head_probabilities(head, train.values[held_out])
    return predicted


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
