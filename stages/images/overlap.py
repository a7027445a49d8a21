"""Intersection over union (IoU) of boxes and of masks."""

import cv2
import numpy as np

from stages.images import boxes


def box_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union, 0..1 float64, of `(..., 4)` boxes that broadcast against each other.

    Two boxes without area overlap by 0.
    """
    corner_min = np.maximum(a[..., :2], b[..., :2])
    corner_max = np.minimum(a[..., 2:], b[..., 2:])
    intersection = boxes.area(np.concatenate([corner_min, corner_max], axis=-1))
    union = boxes.area(a) + boxes.area(b) - intersection
    return np.divide(intersection, union, out=np.zeros_like(union, dtype=np.float64), where=union > 0)


def mask_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union, 0..1, of two `(H, W)` bool masks; two empty ones overlap by 1."""
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 1.0


def upsample_map(saliency_map: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """A map `(side, side)` uint8, 255 = wholly the object, at the size of its crop, `(H, W)` float32 in 0..1."""
    return cv2.resize(saliency_map.astype(np.float32) / 255, size_wh, interpolation=cv2.INTER_LINEAR)
