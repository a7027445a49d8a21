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
    """Cut `(..., 4)` boxes at the edges of a picture of `width` x `height` pixels."""
    return np.clip(boxes, 0, np.array([width, height, width, height], dtype=boxes.dtype))


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union, 0..1, of `(..., 4)` boxes that broadcast against each other.

    Two boxes without area overlap by 0.
    """
    corner_min = np.maximum(a[..., :2], b[..., :2])
    corner_max = np.minimum(a[..., 2:], b[..., 2:])
    intersection = area(np.concatenate([corner_min, corner_max], axis=-1))
    union = area(a) + area(b) - intersection
    return np.divide(intersection, union, out=np.zeros_like(union, dtype=np.float64), where=union > 0)


def expand(boxes: np.ndarray, margin: float) -> np.ndarray:
    """Move every side of `(..., 4)` boxes outwards by `margin` times the longer side."""
    border = margin * np.maximum(*size_wh(boxes))[..., None]
    return boxes + border * np.array([-1, -1, 1, 1], dtype=boxes.dtype)


def to_pixels(box: np.ndarray, width: int, height: int) -> tuple[int, int, int, int]:
    """The whole pixels that a `(4,)` box touches inside a picture; at least one pixel each way."""
    x_min, y_min = (int(v) for v in np.floor(box[:2]))
    x_max, y_max = (int(v) for v in np.ceil(box[2:]))
    x_min, y_min = min(max(x_min, 0), width - 1), min(max(y_min, 0), height - 1)
    return x_min, y_min, min(max(x_max, x_min + 1), width), min(max(y_max, y_min + 1), height)
