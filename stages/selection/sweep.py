"""The outcomes of selection at other values of each threshold, without running inference again."""

from typing import Any

import numpy as np
import pandas as pd

from stages.images.overlap import box_iou
from stages.schemas.crops import REJECTION_REASONS
from stages.selection import main_car
from stages.selection.main_car import PhotoSet
from stages.selection.settings import SelectionSettings

# Each threshold takes these values while the others keep those of the rule.
GRID: dict[str, tuple[float, ...]] = {
    "min_score": (0.05, 0.075, 0.1, 0.125, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
    "min_area": (0.0, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2),
    "min_aspect": (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    "max_runner_up_ratio": (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0),
}


def sweep_thresholds(
    photos: PhotoSet, rule: SelectionSettings, true_boxes: np.ndarray | None = None
) -> dict[str, pd.DataFrame]:
    """For each threshold of GRID a table of `count_outcomes` by value; `is_current` marks the rule's own value."""
    tables = {}
    for name, values in GRID.items():
        current = getattr(rule, name)
        rules = {value: _with(rule, name, value) for value in sorted({*values, current})}
        rows = [
            {"value": value, "is_current": value == current, **count_outcomes(photos, changed, true_boxes)}
            for value, changed in rules.items()
        ]
        tables[name] = pd.DataFrame(rows)
    return tables


def _with(rule: SelectionSettings, name: str, value: float) -> SelectionSettings:
    changed: dict[str, Any] = {name: value}
    return rule.replace(**changed)


def count_outcomes(
    photos: PhotoSet, rule: SelectionSettings, true_boxes: np.ndarray | None = None
) -> dict[str, float | int]:
    """Counts over all photos: `photos`, `cropped`, one for each reason, and `share_cropped`, 0..1.

    With true boxes, `(P, 4)` in pixels, also `recall_50`, the share of photos whose selected box has IoU 0.5 or more
    with the true one, and `precision_50`, the same among photos with a selected box.
    """
    found, n_photos = main_car.select(photos, rule), len(photos.size_wh)
    is_selected = found.index >= 0
    cropped = int(is_selected.sum())
    counts = {"photos": n_photos, "cropped": cropped, "share_cropped": _share(cropped, n_photos)}
    counts |= {reason: int((found.reason == reason).sum()) for reason in REJECTION_REASONS}
    if true_boxes is not None and n_photos:
        ious = box_iou(photos.corners[found.index[is_selected]], true_boxes[is_selected])
        correct = int((ious >= 0.5).sum())
        counts |= {"recall_50": _share(correct, n_photos), "precision_50": _share(correct, cropped)}
    return counts


def _share(part: int, total: int) -> float:
    return round(part / total, 4) if total else 0.0
