"""Several soft maps of one crop made into one mask: averaged, the car's own region kept, and judged."""

import cv2
import numpy as np


def upsample_map(plane: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """A map `(side, side)` uint8 at the size of its crop, `(H, W)` float32 in 0..1."""
    return cv2.resize(plane.astype(np.float32) / 255, size_wh, interpolation=cv2.INTER_LINEAR)


def mask_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union, 0..1, of two `(H, W)` bool masks; two empty ones overlap by 1."""
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 1.0
