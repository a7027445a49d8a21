"""Test-time augmentation: average the predictions of several views, more of them where the first ones disagree.

The views and their order are fixed and nothing is random, so the result of a photo does not depend on other photos.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from stages.classifiers.onnx_classifier import ClassifyFn
from stages.evaluate import tta_views
from stages.evaluate.settings import TtaSettings

# From the number of a view and the positions (n,) of photos to their probabilities (n, C).
PredictFn = Callable[[int, np.ndarray], np.ndarray]
_STEP = 2


class TtaResult(NamedTuple):
    """`probabilities` (N, C) float64, the means over the views of each photo, and the number of `views` (N,)."""

    probabilities: np.ndarray
    views: np.ndarray


def max_views(params: TtaSettings) -> int:
    """Return the largest number of views of a photo."""
    return {"none": 1, "fixed": params.min_views, "adaptive": max(params.min_views, params.max_views)}[params.mode]


def predict_tta(predict: PredictFn, n_photos: int, params: TtaSettings) -> TtaResult:
    """Predict `n_photos` photos with as few views as the settings allow, each view for all photos that need it."""
    chosen = np.arange(n_photos)
    total = np.array(predict(0, chosen), dtype=np.float64)
    votes, views = _votes(total), np.ones(n_photos, dtype=int)
    for number in range(1, max_views(params)):
        if number >= params.min_views and (number - params.min_views) % _STEP == 0:
            chosen = np.flatnonzero(votes.max(axis=1) < params.agreement * views)
        if not len(chosen):
            break
        rows = predict(number, chosen)
        total[chosen] += rows
        votes[chosen] += _votes(rows)
        views[chosen] += 1
    return TtaResult(total / views[:, None], views)


def _votes(rows: np.ndarray) -> np.ndarray:
    """One-hot (N, C) int: 1 for the likeliest class of each row."""
    return np.eye(rows.shape[1], dtype=int)[rows.argmax(axis=1)]


def of_images(classify: ClassifyFn, images: np.ndarray | Sequence[np.ndarray]) -> PredictFn:
    """Return a function that classifies views of images, each (H, W, 3) uint8 RGB."""
    return lambda number, chosen: classify(
        tta_views.apply_transform(images[place], tta_views.VIEWS[number]) for place in chosen
    )


def from_precomputed(rows: np.ndarray) -> PredictFn:
    """Return a function that looks up the probabilities (V, N, C) of V views."""
    return lambda number, chosen: rows[number, chosen]
