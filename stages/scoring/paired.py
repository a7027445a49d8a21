"""Paired comparison of two classifiers on the same photos."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from stages.core.errors import UserError

_ROUNDS = 10_000


class PairedDifference(NamedTuple):
    """A mean difference per photo with its 95 % interval."""

    mean: float
    low: float
    high: float


def paired_bootstrap(differences: np.ndarray, groups: np.ndarray, seed: int = 0) -> PairedDifference:
    """Return the mean of paired `(N,)` differences, one per photo, with its interval.

    The interval is a paired bootstrap over groups `(N,)` of near-duplicates (Efron, Tibshirani: An Introduction to
    the Bootstrap, chapter 13): the percentiles of the mean when whole groups are resampled. Raises
    UserError if there is no photo.
    """
    if len(differences) == 0:
        raise UserError("expected photos that both sides predicted, found none")
    # Not `scipy.stats.bootstrap`: paired, over sums and sizes of groups, it gives this interval, but refuses one group.
    by_group = pd.DataFrame({"sum": differences, "size": 1.0}).groupby(groups).sum().to_numpy()
    draws = np.random.default_rng(seed).integers(0, len(by_group), (_ROUNDS, len(by_group)))
    sums = by_group[draws].sum(axis=1)
    low, high = np.percentile(sums[:, 0] / sums[:, 1], [2.5, 97.5])
    return PairedDifference(float(np.mean(differences)), float(low), float(high))
