"""Which of a photo's boxes is the car that the photo is of, or why none is."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np

from stages.imaging import boxes
from stages.records import params

# Boxes that overlap by more are one vehicle seen as two classes, or by two neighbouring cells.
_SAME_VEHICLE_IOU = 0.6


@dataclass(frozen=True)
class CropParams:
    """The rule for the main car; with `region: photo` every photo is used whole, to compare with.

    Boxes of the `classes` with at least `min_score` stand for election; the one with the largest
    score x sqrt(area) is the main car. It must cover `min_area` of the photo. `margin` widens the crop on every
    side by that share of the box's longer side. `rejected` says what becomes of a photo without a main car:
    `whole` uses all of it, `drop` leaves it out.
    """

    region: Literal["car", "photo"]
    classes: tuple[Literal["car", "bus", "truck"], ...]
    min_score: params.Share
    min_area: params.Share
    margin: Annotated[float, params.Range(0, 1)]
    rejected: Literal["whole", "drop"]

    def __post_init__(self) -> None:
        """Refuse a rule that no box can meet."""
        if not self.classes:
            raise params.ParamError("crop.classes: expected at least one class, found none")


@dataclass(frozen=True)
class Choice:
    """`index` of the main car's box or None, the `reason` for none, the number of different vehicles."""

    index: int | None
    reason: str
    n_vehicles: int


def choose(
    corners: np.ndarray, scores: np.ndarray, names: np.ndarray, size_wh: tuple[int, int], rule: CropParams
) -> Choice:
    """Choose the main car among boxes `(N, 4)` with scores `(N,)` and class names `(N,)` of one photo.

    The reasons for none: `no_vehicle`, no box at all; `other_class`, boxes of other classes only; `low_score`,
    all below `min_score`; `too_small`, the best covers less than `min_area` of the photo.
    """
    if len(corners) == 0:
        return Choice(None, "no_vehicle", 0)
    of_class = np.isin(names, rule.classes)
    if not of_class.any():
        return Choice(None, "other_class", 0)
    candidates = np.flatnonzero(of_class & (scores >= rule.min_score))
    if len(candidates) == 0:
        return Choice(None, "low_score", 0)
    areas = boxes.area(corners)
    best = int(candidates[np.argmax(scores[candidates] * np.sqrt(areas[candidates]))])
    vehicles = count_vehicles(corners[candidates], scores[candidates])
    if areas[best] < rule.min_area * size_wh[0] * size_wh[1]:
        return Choice(None, "too_small", vehicles)
    return Choice(best, "", vehicles)


def count_vehicles(corners: np.ndarray, scores: np.ndarray) -> int:
    """How many different vehicles boxes `(N, 4)` show: each box counts unless a better one overlaps it."""
    kept: list[int] = []
    for index in np.argsort(-scores, kind="stable").tolist():
        if not kept or boxes.iou(corners[index], corners[kept]).max() <= _SAME_VEHICLE_IOU:
            kept.append(index)
    return len(kept)


def window(box: np.ndarray | None, size_wh: tuple[int, int], margin: float) -> tuple[int, int, int, int]:
    """The whole pixels (x_min, y_min, x_max, y_max) that are cut out for a `(4,)` box; all of the photo for None."""
    if box is None:
        return 0, 0, *size_wh
    return boxes.to_pixels(boxes.expand(box, margin), *size_wh)


def cut(photo: np.ndarray, box: np.ndarray | None, margin: float) -> np.ndarray:
    """The part of `(H, W, 3)` uint8 inside a `(4,)` box widened by `margin`, as a copy; all of it for None."""
    x_min, y_min, x_max, y_max = window(box, (photo.shape[1], photo.shape[0]), margin)
    return photo[y_min:y_max, x_min:x_max].copy()
