"""Folds for predictions out of fold: stratified by class, groups kept together."""

import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold


def held_out(labels: np.ndarray, groups: Sequence[str], n_folds: int, seed: int = 0) -> list[np.ndarray]:
    """Return a mask (N,) bool for each fold: every photo is held out by one of them, a group by the same one.

    `labels` (N,) are in 0..C-1. There are fewer folds than `n_folds` where there are fewer groups, or fewer photos of
    the most frequent class; none where that leaves one.
    """
    n_folds = min(n_folds, len(set(groups)), int(np.bincount(labels).max(initial=0)))
    if n_folds < 2:
        return []
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        parts = [rows for _, rows in splitter.split(labels, labels, groups)]
    masks = [np.isin(np.arange(len(labels)), rows) for rows in parts]
    # Classes of few, large groups can leave a fold without photos, or with all of them.
    return [mask for mask in masks if mask.any() and not mask.all()]
