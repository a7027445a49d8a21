"""Selection of a photo's main car among the detected boxes, or the reason for rejecting the photo."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from stages.images import boxes
from stages.images.overlap import box_iou
from stages.selection.settings import SelectionSettings

# Boxes of a larger IoU are one vehicle, detected as two classes or in two neighbouring cells.
_SAME_VEHICLE_IOU = 0.6
# A box that ends within this share of the photo's side from its edge touches it: detected boxes are not exact.
_EDGE_TOLERANCE = 0.01


class Candidates(NamedTuple):
    """The boxes of one photo: `corners` (N, 4) in pixels, `scores` (N,) 0..1, `names` (N,) of classes."""

    corners: np.ndarray
    scores: np.ndarray
    names: np.ndarray


NO_CANDIDATES = Candidates(np.empty((0, 4)), np.empty(0), np.empty(0, dtype=object))


@dataclass(frozen=True)
class Selection:
    """The `index` of the main car's box, or None and the `reason`; `n_vehicles` is the number of distinct vehicles.

    `runner_up_ratio` is the rank of the second best vehicle as a share of the best one's, 0..1; 0 without another.
    """

    index: int | None
    reason: str
    n_vehicles: int
    runner_up_ratio: float = 0.0


def select_box(candidates: Candidates, size_wh: tuple[int, int], rule: SelectionSettings) -> Selection:
    """Select the main car among the boxes of one photo of `size_wh` pixels.

    The reason for none is the first that holds: `no_vehicle`, no box of the rule's classes, nor of another class
    with `min_score`; `other_class`, only boxes of other classes; `low_score`, all boxes of the classes below
    `min_score`; `too_small`, the best covers less than `min_area` of the photo; `cut_by_frame`, the best touches the
    photo's edge and is too narrow or too flat for a whole car; `several_cars`, another vehicle has
    `max_runner_up_ratio` of the best one's rank or more.
    """
    is_of_class = np.isin(candidates.names, rule.classes)
    if not is_of_class.any():
        return Selection(None, "other_class" if (candidates.scores >= rule.min_score).any() else "no_vehicle", 0)
    eligible = np.flatnonzero(is_of_class & (candidates.scores >= rule.min_score))
    if len(eligible) == 0:
        return Selection(None, "low_score", 0)
    corners, scores = candidates.corners[eligible], candidates.scores[eligible]
    ranks = scores * np.sqrt(boxes.area(corners))
    best = int(np.argmax(ranks))
    distinct = distinct_vehicles(corners, ranks)
    runner_up_ratio = float(ranks[distinct[1]] / ranks[best]) if len(distinct) > 1 and ranks[best] > 0 else 0.0
    reason = _rejection_reason(corners[best], runner_up_ratio, size_wh, rule)
    return Selection(None if reason else int(eligible[best]), reason, len(distinct), round(runner_up_ratio, 4))


def _rejection_reason(
    box: np.ndarray, runner_up_ratio: float, size_wh: tuple[int, int], rule: SelectionSettings
) -> str:
    """Why the best box `(4,)` is rejected, or empty."""
    width, height = (float(side) for side in boxes.size_wh(box))
    if width * height < rule.min_area * size_wh[0] * size_wh[1]:
        return "too_small"
    touches_side, touches_top_or_bottom = touched_edges(box, size_wh)
    is_too_narrow, is_too_flat = width < rule.min_aspect * height, width > rule.max_aspect * height
    if (touches_side and is_too_narrow) or (touches_top_or_bottom and is_too_flat):
        return "cut_by_frame"
    return "several_cars" if rule.max_runner_up_ratio < 1 and runner_up_ratio >= rule.max_runner_up_ratio else ""


def touched_edges(box: np.ndarray, size_wh: tuple[int, int]) -> tuple[bool, bool]:
    """Whether a `(4,)` box in pixels ends within 1 % of the photo's left or right edge, and of its upper or lower."""
    size = np.array([*size_wh, *size_wh], dtype=np.float64)
    near = np.concatenate([box[:2], size[2:] - box[2:]]) <= _EDGE_TOLERANCE * size
    return bool(near[0] or near[2]), bool(near[1] or near[3])


def distinct_vehicles(corners: np.ndarray, ranks: np.ndarray) -> list[int]:
    """The indices of distinct vehicles among boxes `(N, 4)`, highest of the ranks `(N,)` first.

    A box that overlaps one of higher rank is the same vehicle.
    """
    kept: list[int] = []
    for index in np.argsort(-ranks, kind="stable").tolist():
        if not kept or box_iou(corners[index], corners[kept]).max() <= _SAME_VEHICLE_IOU:
            kept.append(index)
    return kept


def crop_window(box: np.ndarray | None, size_wh: tuple[int, int], margin: float) -> tuple[int, int, int, int]:
    """The crop's x_min, y_min, x_max, y_max in whole pixels for a `(4,)` box; the whole photo for None.

    `margin` widens the box on every side, as a share of its longer side.
    """
    if box is None:
        return 0, 0, *size_wh
    return boxes.to_pixels(boxes.expand(box, margin), *size_wh)


def candidates_by_photo(detections: pd.DataFrame) -> dict[str, Candidates]:
    """The boxes of each photo, by image id, from the rows of data/detections.csv."""
    corners = detections[boxes.COLUMNS].to_numpy(dtype=np.float64)
    scores, names = detections["score"].to_numpy(dtype=np.float64), detections["class_name"].to_numpy(dtype=object)
    by_id = detections.groupby("image_id").indices
    return {str(image_id): Candidates(corners[rows], scores[rows], names[rows]) for image_id, rows in by_id.items()}
