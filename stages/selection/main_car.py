"""Selection of a photo's main car among the detected boxes, or the reason for rejecting the photo."""

from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np

from stages.images import boxes
from stages.images.overlap import box_iou
from stages.selection.settings import SelectionSettings

# Boxes of a larger IoU are one vehicle, detected as two classes or in two neighbouring cells.
_SAME_VEHICLE_IOU = 0.6
# A box that ends within this share of the photo's side from its edge touches it: detected boxes are not exact.
_EDGE_TOLERANCE = 0.01

# The rule takes several times the memory of the boxes: all at once, a stage would grow with the number of photos.
_PHOTOS_AT_ONCE = 10_000


class Candidates(NamedTuple):
    """The boxes of one photo: `corners` (N, 4) in pixels, `scores` (N,) 0..1, `names` (N,) of classes."""

    corners: np.ndarray
    scores: np.ndarray
    names: np.ndarray


class PhotoSet(NamedTuple):
    """The boxes of P photos, one photo after the other.

    `corners` (N, 4) in pixels, `scores` (N,) 0..1, `classes` (N,) positions in `class_names`, `photo` (N,) numbers of
    photos, 0..P-1, ascending; `size_wh` (P, 2) in pixels.
    """

    corners: np.ndarray
    scores: np.ndarray
    classes: np.ndarray
    class_names: np.ndarray
    photo: np.ndarray
    size_wh: np.ndarray


@dataclass(frozen=True)
class Selection:
    """The `index` of the main car's box, or None and the `reason`; `n_vehicles` is the number of distinct vehicles.

    `runner_up_ratio` is the rank of the second best vehicle as a share of the best one's, 0..1; 0 without another.
    """

    index: int | None
    reason: str
    n_vehicles: int
    runner_up_ratio: float = 0.0


@dataclass(frozen=True)
class Selections:
    """As `Selection`, of P photos: arrays (P,). `index` is the number of a box among those of all photos, or -1."""

    index: np.ndarray
    reason: np.ndarray
    n_vehicles: np.ndarray
    runner_up_ratio: np.ndarray


def select_box(candidates: Candidates, size_wh: tuple[int, int], rule: SelectionSettings) -> Selection:
    """Select the main car among the boxes of one photo of `size_wh` pixels, as `select` does."""
    names, classes = np.unique(candidates.names, return_inverse=True)
    photo, sizes_wh = np.zeros(len(classes), np.int64), np.array([size_wh], np.float64)
    found = select(PhotoSet(candidates.corners, candidates.scores, classes, names, photo, sizes_wh), rule)
    index, ratio = int(found.index[0]), float(found.runner_up_ratio[0])
    return Selection(None if index < 0 else index, str(found.reason[0]), int(found.n_vehicles[0]), ratio)


def select(photos: PhotoSet, rule: SelectionSettings) -> Selections:
    """Select the main car of each photo.

    The reason for none is the first that holds: `no_vehicle`, no box of the rule's classes, nor of another class
    with `min_score`; `other_class`, only boxes of other classes; `low_score`, all boxes of the classes below
    `min_score`; `too_small`, the best covers less than `min_area` of the photo; `cut_by_frame`, the best touches the
    photo's edge and is too narrow or too flat for a whole car; `several_cars`, another vehicle has
    `max_runner_up_ratio` of the best one's rank or more.
    """
    parts = []
    # One part where there is no photo.
    for start in range(0, max(len(photos.size_wh), 1), _PHOTOS_AT_ONCE):
        first, last = np.searchsorted(photos.photo, [start, start + _PHOTOS_AT_ONCE])
        some = photos._replace(
            corners=photos.corners[first:last],
            scores=photos.scores[first:last],
            classes=photos.classes[first:last],
            photo=photos.photo[first:last] - start,
            size_wh=photos.size_wh[start : start + _PHOTOS_AT_ONCE],
        )
        found = _select(some, rule)
        parts.append(replace(found, index=np.where(found.index < 0, -1, found.index + first)))
    return Selections(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Selections)))


def _select(photos: PhotoSet, rule: SelectionSettings) -> Selections:
    """As `select`, of all photos at once."""
    n_photos = len(photos.size_wh)
    is_of_class = np.isin(photos.class_names, rule.classes)[photos.classes]
    is_sure = photos.scores >= rule.min_score
    has_class, has_sure = (np.bincount(photos.photo[rows], minlength=n_photos) > 0 for rows in (is_of_class, is_sure))
    reason = np.where(has_class, "low_score", np.where(has_sure, "other_class", "no_vehicle")).astype(object)
    index, n_vehicles, ratio = np.full(n_photos, -1), np.zeros(n_photos, np.int64), np.zeros(n_photos)
    eligible = np.flatnonzero(is_of_class & is_sure)
    corners, numbers = photos.corners[eligible], photos.photo[eligible]
    ranks = photos.scores[eligible] * np.sqrt(boxes.area(corners))
    kept = distinct_vehicles(corners, ranks, numbers)
    with_car, first, n_vehicles_of = np.unique(numbers[kept], return_index=True, return_counts=True)
    best, second = kept[first], kept[np.minimum(first + 1, len(kept) - 1)]
    has_second = (n_vehicles_of > 1) & (ranks[best] > 0)
    unrounded = np.divide(ranks[second], ranks[best], out=np.zeros(len(best)), where=has_second)
    reason[with_car] = _rejection_reasons(corners[best], unrounded, photos.size_wh[with_car], rule)
    index[with_car] = np.where(reason[with_car] == "", eligible[best], -1)
    n_vehicles[with_car] = n_vehicles_of
    ratio[with_car] = [round(value, 4) for value in unrounded.tolist()]  # NumPy's own rounding is another one
    return Selections(index, reason, n_vehicles, ratio)


def _rejection_reasons(
    best: np.ndarray, runner_up_ratio: np.ndarray, size_wh: np.ndarray, rule: SelectionSettings
) -> np.ndarray:
    """Why the best boxes `(N, 4)` of photos of `size_wh` `(N, 2)` pixels are rejected, or empty, `(N,)`."""
    width, height = (side.astype(np.float64) for side in boxes.size_wh(best))
    touches_side, touches_top_or_bottom = touched_edges(best, size_wh)
    is_too_narrow, is_too_flat = width < rule.min_aspect * height, width > rule.max_aspect * height
    reasons = {
        "too_small": width * height < rule.min_area * size_wh[:, 0] * size_wh[:, 1],
        "cut_by_frame": (touches_side & is_too_narrow) | (touches_top_or_bottom & is_too_flat),
        "several_cars": (rule.max_runner_up_ratio < 1) & (runner_up_ratio >= rule.max_runner_up_ratio),
    }
    return np.select(list(reasons.values()), list(reasons), "").astype(object)


def touched_edges(corners: np.ndarray, size_wh: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether `(N, 4)` boxes end within 1 % of their photo's left or right edge, and of its upper or lower.

    `size_wh` are the sizes of the photos, `(N, 2)`; all is in pixels.
    """
    tolerance = _EDGE_TOLERANCE * size_wh
    is_near = (corners[:, :2] <= tolerance) | (size_wh - corners[:, 2:] <= tolerance)
    return is_near[:, 0], is_near[:, 1]


def distinct_vehicles(corners: np.ndarray, ranks: np.ndarray, photo: np.ndarray) -> np.ndarray:
    """The indices of distinct vehicles among boxes `(N, 4)`: by the number of the `photo` `(N,)`, highest rank first.

    A box that overlaps one of higher rank `(N,)` in its photo is the same vehicle.
    """
    order = np.lexsort((-ranks, photo))
    is_kept, left = np.zeros(len(order), bool), np.arange(len(order))
    # In each round the best one that is left of each photo is kept, and what overlaps it goes.
    while len(left):
        numbers = photo[order[left]]
        is_first = np.r_[True, numbers[1:] != numbers[:-1]]
        best = left[is_first][np.cumsum(is_first) - 1]
        is_kept[left[is_first]] = True
        overlap = box_iou(corners[order[left]], corners[order[best]])
        left = left[~is_first & (overlap <= _SAME_VEHICLE_IOU)]
    return order[is_kept]


def crop_window(box: np.ndarray | None, size_wh: tuple[int, int], margin: float) -> tuple[int, int, int, int]:
    """The crop's x_min, y_min, x_max, y_max in whole pixels for a `(4,)` box; the whole photo for None.

    `margin` widens the box on every side, as a share of its longer side.
    """
    if box is None:
        return 0, 0, *size_wh
    return boxes.to_pixels(boxes.expand(box, margin), *size_wh)
