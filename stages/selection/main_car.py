"""Which of a photo's boxes is the car that the photo is of, or why none is."""

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal, NamedTuple

import numpy as np
import pandas as pd

from stages.core import params
from stages.images import boxes, images, letterbox
from stages.networks import catalogue

# Boxes that overlap by more are one vehicle seen as two classes, or by two neighbouring cells.
_SAME_VEHICLE_IOU = 0.6


# A box that ends within this share of the photo's side from its edge touches it: detectors miss edges by a little.
_TOUCHING = 0.01


@dataclass(frozen=True)
class CropParams:
    """The rule for the main car; with `region: photo` every photo is used whole, to compare with.

    Boxes of the `classes` with at least `min_score` stand for election; the one with the highest rank, its
    score x sqrt(area), is the main car. It must cover `min_area` of the photo; where the left or right edge of the
    photo cuts it, be at least `min_aspect` times as wide as high, and where the upper or lower edge cuts it, at most
    `max_aspect` times, as whole cars are; and no other vehicle may have `max_rival` of its rank (1 allows all).
    `margin` widens the crop on every side by that share of the box's longer side. `rejected` says what becomes of a
    photo without a main car: `whole` uses all of it, `drop` leaves it out. A crop whose longer side has more than
    `max_side` pixels is shrunk to that: later stages need less, and a large photo then need not be decoded in full.
    """

    region: Literal["car", "photo"]
    classes: tuple[str, ...]
    min_score: params.Share
    min_area: params.Share
    min_aspect: Annotated[float, params.Range(0, 1)]
    max_aspect: Annotated[float, params.Range(1, 1000)]
    max_rival: params.Share
    margin: Annotated[float, params.Range(0, 1)]
    rejected: Literal["whole", "drop"]
    max_side: Annotated[int, params.Range(16, 8192)]

    def __post_init__(self) -> None:
        """Refuse a rule that no box can meet."""
        if not self.classes:
            raise params.ParamError("crop.classes: expected at least one class, found none")
        strange = [name for name in self.classes if name not in catalogue.CLASS_NAMES]
        if strange:
            known = ", ".join(catalogue.CLASS_NAMES)
            raise params.ParamError(f"crop.classes: expected names of {known}, found {strange[0]!r}")


class Candidates(NamedTuple):
    """What the detector found in one photo: `corners` (N, 4) pixels, `scores` (N,) 0..1, `names` (N,) of classes."""

    corners: np.ndarray
    scores: np.ndarray
    names: np.ndarray


NO_CANDIDATES = Candidates(np.empty((0, 4)), np.empty(0), np.empty(0, dtype=object))


@dataclass(frozen=True)
class Selection:
    """`index` of the main car's box or None, the `reason` for none, the number of different vehicles.

    `rival` is the rank of the next best vehicle as a share of the best one's, 0..1; 0 where there is no other.
    """

    index: int | None
    reason: str
    n_vehicles: int
    rival: float = 0.0


def select_box(found: Candidates, size_wh: tuple[int, int], rule: CropParams) -> Selection:
    """Choose the main car among the boxes of one photo.

    The reasons for none, the first that holds: `no_vehicle`, no box of the rule's classes, nor of another class
    with `min_score`; `other_class`, only boxes of other classes; `low_score`, all boxes of the classes below
    `min_score`; `too_small`, the best covers less than `min_area` of the photo; `cut_by_frame`, the best touches the
    photo's edge and is too narrow or too flat for a whole car; `several_cars`, another vehicle has `max_rival` of
    the best one's rank or more.
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
    rival = float(ranks[different[1]] / ranks[best]) if len(different) > 1 and ranks[best] > 0 else 0.0
    reason = _rejection_reason(corners[best], rival, size_wh, rule)
    return Selection(None if reason else int(candidates[best]), reason, len(different), round(rival, 4))


def _rejection_reason(box: np.ndarray, rival: float, size_wh: tuple[int, int], rule: CropParams) -> str:
    """Why the best box `(4,)` is not taken, or empty."""
    width, height = (float(side) for side in boxes.size_wh(box))
    if width * height < rule.min_area * size_wh[0] * size_wh[1]:
        return "too_small"
    is_cut_beside, is_cut_above = touched_edges(box, size_wh)
    if (is_cut_beside and width < rule.min_aspect * height) or (is_cut_above and width > rule.max_aspect * height):
        return "cut_by_frame"
    return "several_cars" if rule.max_rival < 1 and rival >= rule.max_rival else ""


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


def crop_image(content: bytes, box: np.ndarray | None, rule: CropParams) -> np.ndarray:
    """The crop of a photo, given the bytes of its file: `(H, W, 3)` uint8 RGB, H and W at most `rule.max_side`.

    It shows the window of a `(4,)` box in pixels of the photo, or all of the photo for None. Raises ImageError
    as `images.decode_photo` does.
    """
    photo = images.decode_photo(content, partial(_share_needed, box, rule))
    corners = crop_window(box, photo.size_wh, rule.margin)
    width, height = corners[2] - corners[0], corners[3] - corners[1]
    # A photo of reduced scale is cut at its nearest pixels.
    scale = np.array([photo.picture.shape[1], photo.picture.shape[0]] * 2) / np.array(photo.size_wh * 2)
    x_min, y_min, x_max, y_max = boxes.to_pixels((corners * scale).round(), *photo.picture.shape[1::-1])
    piece = photo.picture[y_min:y_max, x_min:x_max]
    if max(width, height) <= rule.max_side:
        return piece.copy()
    place = letterbox.place(width, height, (rule.max_side, rule.max_side))
    return letterbox.resize(piece, place.width, place.height)


def _share_needed(box: np.ndarray | None, rule: CropParams, size_wh: tuple[int, int]) -> float:
    x_min, y_min, x_max, y_max = crop_window(box, size_wh, rule.margin)
    return rule.max_side / max(x_max - x_min, y_max - y_min)


def candidates_by_photo(found: pd.DataFrame) -> dict[str, Candidates]:
    """The boxes of each photo, by image id, from the rows of data/detections.csv."""
    corners, scores = found[boxes.COLUMNS].to_numpy(dtype=np.float64), found["score"].to_numpy(dtype=np.float64)
    names = found["class_name"].to_numpy(dtype=object)
    places = found.groupby("image_id").indices
    return {str(name): Candidates(corners[rows], scores[rows], names[rows]) for name, rows in places.items()}
