"""The outcomes of selection at other values of each threshold, without running inference again."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from stages.images.overlap import box_iou
from stages.schemas.crops import REJECTION_REASONS
from stages.selection.main_car import Candidates, Selection, select_box
from stages.selection.settings import SelectionSettings

# Each threshold takes these values while the others keep those of the rule.
GRID: dict[str, tuple[float, ...]] = {
    "min_score": (0.05, 0.075, 0.1, 0.125, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
    "min_area": (0.0, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2),
    "min_aspect": (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
    "max_runner_up_ratio": (0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0),
}


class SweepInput(NamedTuple):
    """One photo: its size in pixels, its detected boxes, the true box `(4,)` where it is known."""

    size_wh: tuple[int, int]
    candidates: Candidates
    true_box: np.ndarray | None = None


def sweep_thresholds(photos: list[SweepInput], rule: SelectionSettings) -> dict[str, pd.DataFrame]:
    """For each threshold of GRID a table of `count_outcomes` by value; `is_current` marks the rule's own value."""
    return {name: _sweep_one(photos, rule, name, values) for name, values in GRID.items()}


def _sweep_one(photos: list[SweepInput], rule: SelectionSettings, name: str, values: Iterable[float]) -> pd.DataFrame:
    current = getattr(rule, name)
    outcomes = {value: count_outcomes(photos, _with(rule, name, value)) for value in sorted({*values, current})}
    return pd.DataFrame([{"value": value, "is_current": value == current, **row} for value, row in outcomes.items()])


def _with(rule: SelectionSettings, name: str, value: float) -> SelectionSettings:
    changed: dict[str, Any] = {name: value}
    return rule.replace(**changed)


def count_outcomes(photos: list[SweepInput], rule: SelectionSettings) -> dict[str, float | int]:
    """Counts over all photos: `photos`, `cropped`, one for each reason, and `share_cropped`, 0..1.

    Where true boxes are known also `recall_50`, the share of photos whose selected box has IoU 0.5 or more with the
    true one, and `precision_50`, the same among photos with a selected box.
    """
    selections = [select_box(photo.candidates, photo.size_wh, rule) for photo in photos]
    reasons = pd.Series([selection.reason for selection in selections], dtype=str).value_counts()
    cropped = sum(selection.index is not None for selection in selections)
    counts = {"photos": len(photos), "cropped": cropped, "share_cropped": _share(cropped, len(photos))}
    counts |= {reason: int(reasons.get(reason, 0)) for reason in REJECTION_REASONS}
    if any(photo.true_box is not None for photo in photos):
        correct = sum(_is_correct(photo, selection) for photo, selection in zip(photos, selections))
        counts |= {"recall_50": _share(correct, len(photos)), "precision_50": _share(correct, cropped)}
    return counts


def _is_correct(photo: SweepInput, selection: Selection) -> bool:
    if selection.index is None or photo.true_box is None:
        return False
    return bool(box_iou(photo.candidates.corners[selection.index], photo.true_box) >= 0.5)


def _share(part: int, total: int) -> float:
    return round(part / total, 4) if total else 0.0
