"""Boxes: `(N, 4)` float32 arrays of x_min, y_min, x_max, y_max in pixels, right and bottom exclusive."""

import numpy as np

COLUMNS = ["x_min", "y_min", "x_max", "y_max"]


def size_wh(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Widths and heights of `(..., 4)` boxes in pixels, none below zero."""
    width = np.maximum(boxes[..., 2] - boxes[..., 0], 0)
    height = np.maximum(boxes[..., 3] - boxes[..., 1], 0)
    return width, height


def area(boxes: np.ndarray) -> np.ndarray:
    """Areas of `(..., 4)` boxes in square pixels."""
    width, height = size_wh(boxes)
    return width * height


def clip(boxes: np.ndarray, width: int, height: int) -> np.ndarray:
    """Clip `(..., 4)` boxes to an image of `width` x `height` pixels."""
    return np.clip(boxes, 0, np.array([width, height, width, height], dtype=boxes.dtype))


def expand(boxes: np.ndarray, margin: float) -> np.ndarray:
    """Move every side of `(..., 4)` boxes outwards by `margin` times the longer side."""
    border = margin * np.maximum(*size_wh(boxes))[..., None]
    return boxes + border * np.array([-1, -1, 1, 1], dtype=boxes.dtype)


def to_pixels(box: np.ndarray, width: int, height: int) -> tuple[int, int, int, int]:
    """The whole pixels that a `(4,)` box touches inside an image: x_min, y_min, x_max, y_max; one or more each way."""
    x_min, y_min = (int(v) for v in np.floor(box[:2]))
    x_max, y_max = (int(v) for v in np.ceil(box[2:]))
    x_min, y_min = min(max(x_min, 0), width - 1), min(max(y_min, 0), height - 1)
    return x_min, y_min, min(max(x_max, x_min + 1), width), min(max(y_max, y_min + 1), height)
