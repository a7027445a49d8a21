"""Several views of a photo answered and averaged at test time, more of them where the first ones disagree.

The views are a fixed list in a fixed order, and every one is applied to the full: nothing is drawn by lot, so the same
photo gets the same answer, whatever other photos there are.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from stages.evaluate.settings import TtaSettings

# Answers (n, C) for the view of a number, of the photos at n places.
PredictFn = Callable[[int, np.ndarray], np.ndarray]
_STEP = 2


class TtaResult(NamedTuple):
    """`probabilities` (N, C) float64, the means over the views of each photo, and how many `views` (N,) those were."""

    probabilities: np.ndarray
    views: np.ndarray


def max_views(params: TtaSettings) -> int:
    """Return how many views a photo may get."""
    return {"none": 1, "fixed": params.min_views, "adaptive": max(params.min_views, params.max_views)}[params.mode]


def predict_tta(ask: PredictFn, n_photos: int, params: TtaSettings) -> TtaResult:
    """Answer `n_photos` photos by as few views as will do, all open ones at a time."""
    chosen = np.arange(n_photos)
    total = np.array(ask(0, chosen), dtype=np.float64)
    votes, views = _votes(total), np.ones(n_photos, dtype=int)
    for number in range(1, max_views(params)):
        if number >= params.min_views and (number - params.min_views) % _STEP == 0:
            chosen = np.flatnonzero(votes.max(axis=1) < params.agreement * views)
        if not len(chosen):
            break
        rows = ask(number, chosen)
        total[chosen] += rows
        votes[chosen] += _votes(rows)
        views[chosen] += 1
    return TtaResult(total / views[:, None], views)


def _votes(rows: np.ndarray) -> np.ndarray:
    """One (N, C) for the class that each row names, nought for the others."""
    return np.eye(rows.shape[1], dtype=int)[rows.argmax(axis=1)]


def from_precomputed(rows: np.ndarray) -> PredictFn:
    """Return what asks for answers that are there already, `rows` (V, N, C) of V views."""
    return lambda number, chosen: rows[number, chosen]
