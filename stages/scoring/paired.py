"""Paired comparison of two classifiers on the same photos."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from stages.core.errors import UserError
from stages.scoring.probabilities import negative_log_likelihood

_ROUNDS = 10_000
# Groups drawn at once: memory is bounded, some 400 MiB, for any number of photos.
_MAX_DRAWN = 2**24


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
    generator, at_once = np.random.default_rng(seed), max(1, _MAX_DRAWN // len(by_group))
    rounds = [min(at_once, _ROUNDS - start) for start in range(0, _ROUNDS, at_once)]
    sums = np.concatenate(
        [by_group[generator.integers(0, len(by_group), (count, len(by_group)))].sum(axis=1) for count in rounds]
    )
    low, high = np.percentile(sums[:, 0] / sums[:, 1], [2.5, 97.5])
    return PairedDifference(float(np.mean(differences)), float(low), float(high))


def paired_gain(first: np.ndarray, second: np.ndarray, labels: np.ndarray, groups: Sequence[str]) -> dict[str, float]:
    """Return the paired difference of two arrays of probabilities (N, C), N > 0, first minus second, with intervals.

    `log_loss` with `log_loss_low` and `log_loss_high`: negative is better. `accuracy` with its interval: positive is
    better. `labels` (N,) are in 0..C-1, `groups` (N,) those of near-duplicates.
    """
    losses = [negative_log_likelihood(labels, rows) for rows in (first, second)]
    correct = [(rows.argmax(axis=1) == labels).astype(float) for rows in (first, second)]
    pairs = {"log_loss": losses, "accuracy": correct}
    differences = {name: paired_bootstrap(one - other, np.array(groups)) for name, (one, other) in pairs.items()}
    return {
        f"{name}{suffix}": value
        for name, difference in differences.items()
        for suffix, value in zip(("", "_low", "_high"), difference)
    }
