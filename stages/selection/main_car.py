"""Which of a photo's boxes is the car that the photo is of, or why none is."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from stages.images import boxes
from stages.selection.settings import SelectionSettings

# Boxes that overlap by more are one vehicle seen as two classes, or by two neighbouring cells.
_SAME_VEHICLE_IOU = 0.6


# A box that ends within this share of the photo's side from its edge touches it: detectors miss edges by a little.
_TOUCHING = 0.01


class Candidates(NamedTuple):
    """What the detector found in one photo: `corners` (N, 4) pixels, `scores` (N,) 0..1, `names` (N,) of classes."""

    corners: np.ndarray
    scores: np.ndarray
    names: np.ndarray


NO_CANDIDATES = Candidates(np.empty((0, 4)), np.empty(0), np.empty(0, dtype=object))


@dataclass(frozen=True)
class Selection:
    """`index` of the main car's box or None, the `reason` for none, the number of different vehicles.

    `runner_up_ratio` is the rank of the next best vehicle as a share of the best one's, 0..1; 0 without another.
    """

    index: int | None
    reason: str
    n_vehicles: int
    runner_up_ratio: float = 0.0


def select_box(found: Candidates, size_wh: tuple[int, int], rule: SelectionSettings) -> Selection:
    """Choose the main car among the boxes of one photo.

    The reasons for none, the first that holds: `no_vehicle`, no box of the rule's classes, nor of another class
    with `min_score`; `other_class`, only boxes of other classes; `low_score`, all boxes of the classes below
    `min_score`; `too_small`, the best covers less than `min_area` of the photo; `cut_by_frame`, the best touches the
    photo's edge and is too narrow or too flat for a whole car; `several_cars`, another vehicle has
    `max_runner_up_ratio` of the best one's rank or more.
    """
    of_class = np.isin(found.names, rule.classes)
    if not of_class.any():
        return Selection(None, "other_class" if (found.scores >= rule.min_score).any() else "no_vehicle", 0)
    candidates = np.flatnonzero(of_class & (found.scores >= rule.min_score))
    if len(candidates) == 0:
        return Selection(None, "low_score", 0)
    corners, scores = found.corners[candidates], found.scores[candidates]
    ranks = scores * np.sqrt(boxes.area(corners))
    best = int(np.argmax(ranks))
    different = distinct_vehicles(corners, ranks)
    runner_up_ratio = float(ranks[different[1]] / ranks[best]) if len(different) > 1 and ranks[best] > 0 else 0.0
    reason = _rejection_reason(corners[best], runner_up_ratio, size_wh, rule)
    return Selection(None if reason else int(candidates[best]), reason, len(different), round(runner_up_ratio, 4))


def _rejection_reason(
    box: np.ndarray, runner_up_ratio: float, size_wh: tuple[int, int], rule: SelectionSettings
) -> str:
    """Why the best box `(4,)` is not taken, or empty."""
    width, height = (float(side) for side in boxes.size_wh(box))
    if width * height < rule.min_area * size_wh[0] * size_wh[1]:
        return "too_small"
    is_cut_beside, is_cut_above = touched_edges(box, size_wh)
    if (is_cut_beside and width < rule.min_aspect * height) or (is_cut_above and width > rule.max_aspect * height):
        return "cut_by_frame"
    return "several_cars" if rule.max_runner_up_ratio < 1 and runner_up_ratio >= rule.max_runner_up_ratio else ""


def touched_edges(box: np.ndarray, size_wh: tuple[int, int]) -> tuple[bool, bool]:
    """Whether a `(4,)` box in pixels ends within 1 % of the photo's left or right edge, and of its upper or lower."""
    size = np.array([*size_wh, *size_wh], dtype=np.float64)
    near = np.concatenate([box[:2], size[2:] - box[2:]]) <= _TOUCHING * size
    return bool(near[0] or near[2]), bool(near[1] or near[3])


def distinct_vehicles(corners: np.ndarray, ranks: np.ndarray) -> list[int]:
    """The different vehicles among boxes `(N, 4)`, best rank `(N,)` first: each box unless a better one overlaps it."""
    kept: list[int] = []
    for index in np.argsort(-ranks, kind="stable").tolist():
        if not kept or boxes.iou(corners[index], corners[kept]).max() <= _SAME_VEHICLE_IOU:
            kept.append(index)
    return kept


def crop_window(box: np.ndarray | None, size_wh: tuple[int, int], margin: float) -> tuple[int, int, int, int]:
    """The whole pixels (x_min, y_min, x_max, y_max) that are cut out for a `(4,)` box; all of the photo for None."""
    if box is None:
        return 0, 0, *size_wh
    return boxes.to_pixels(boxes.expand(box, margin), *size_wh)


def candidates_by_photo(found: pd.DataFrame) -> dict[str, Candidates]:
    """The boxes of each photo, by image id, from the rows of data/detections.csv."""
    corners, scores = found[boxes.COLUMNS].to_numpy(dtype=np.float64), found["score"].to_numpy(dtype=np.float64)
    names = found["class_name"].to_numpy(dtype=object)
    places = found.groupby("image_id").indices
    return {str(name): Candidates(corners[rows], scores[rows], names[rows]) for name, rows in places.items()}
