"""Annotated boxes in pixels of the upright photo, or the reason why a box cannot be used."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Corners = tuple[float, float, float, float]
NO_BOX: Corners = (np.nan, np.nan, np.nan, np.nan)
# Annotation tools round corners: a box may end so many pixels outside the photo.
_TOLERANCE_PX = 2.0


def upright_box(row: Mapping[Any, Any]) -> tuple[Corners, str]:
    """The box of a row of data/files.csv in pixels of the upright photo, and the reason why there is none, or empty.

    `row` has the corners, `annotated_width` and `annotated_height`, the upright `width` and `height`, and the EXIF
    `orientation`. The annotation was drawn on the photo as it is stored or as it is shown; the size that it declares
    says which. Reasons: `bad_box`, without area or outside the photo; `annotation_size`, the declared size is not that
    of the photo; `ambiguous_box`, the photo is turned and the size does not say which way the box was drawn.
    """
    box: Corners = (row["x_min"], row["y_min"], row["x_max"], row["y_max"])
    size = int(row["width"]), int(row["height"])
    declared = int(row["annotated_width"]), int(row["annotated_height"])
    orientation = int(row["orientation"])
    if declared != (0, 0) and declared not in (size, size[::-1] if orientation > 4 else size):
        return NO_BOX, "annotation_size"
    if orientation != 1:
        is_unambiguous = orientation > 4 and declared != (0, 0) and size[0] != size[1]
        if not is_unambiguous:
            return NO_BOX, "ambiguous_box"
        box = box if declared == size else _TURNED[orientation](box, declared)
    return _inside(box, size)


def _inside(box: Corners, size_wh: tuple[int, int]) -> tuple[Corners, str]:
    """The box cut to the photo; a reason where it has no area, or ends more than a rounding error outside."""
    x_min, y_min, x_max, y_max = box
    width, height = size_wh
    outside = max(-x_min, -y_min, x_max - width, y_max - height)
    cut = max(x_min, 0.0), max(y_min, 0.0), min(x_max, float(width)), min(y_max, float(height))
    if not np.isfinite(box).all() or outside > _TOLERANCE_PX or cut[2] <= cut[0] or cut[3] <= cut[1]:
        return NO_BOX, "bad_box"
    return cut, ""


def _transposed(box: Corners) -> Corners:
    return box[1], box[0], box[3], box[2]


# What turns a box of the stored photo of size (width, height) upright, by EXIF orientation.
_TURNED: dict[int, Callable[[Corners, tuple[int, int]], Corners]] = {
    5: lambda box, _: _transposed(box),
    6: lambda box, wh: (wh[1] - box[3], box[0], wh[1] - box[1], box[2]),
    7: lambda box, wh: (wh[1] - box[3], wh[0] - box[2], wh[1] - box[1], wh[0] - box[0]),
    8: lambda box, wh: (box[1], wh[0] - box[2], box[3], wh[0] - box[0]),
}
