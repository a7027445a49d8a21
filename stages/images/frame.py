"""Fit an image of any shape into a frame: padded, reflected or stretched."""

import cv2
import numpy as np

from stages.images import letterbox
from stages.images.settings import Fit


def place(width: int, height: int, frame_wh: tuple[int, int], how: Fit) -> letterbox.Placement:
    """Where an image of `width` x `height` lies in the frame, all in pixels."""
    if how == "squash":
        return letterbox.Placement(*frame_wh, 0, 0)
    return letterbox.place(width, height, frame_wh)


def fit(image: np.ndarray, frame_wh: tuple[int, int], how: Fit, fill: tuple[int, int, int]) -> np.ndarray:
    """Resize `(H, W, 3)` uint8 RGB to `(frame_wh[1], frame_wh[0], 3)`.

    `pad` keeps the aspect ratio and pads with a colour, `reflect` pads with the image mirrored at its edges, repeatedly
    if needed, and `squash` stretches the image to the frame.
    """
    if how == "squash":
        return letterbox.resize(image, *frame_wh)
    if how == "pad":
        return letterbox.letterbox(image, frame_wh, fill)
    return _reflected(image, frame_wh)


def _reflected(image: np.ndarray, frame_wh: tuple[int, int]) -> np.ndarray:
    width, height, left, top = place(image.shape[1], image.shape[0], frame_wh, "reflect")
    inner = letterbox.resize(image, width, height)
    below, right = frame_wh[1] - top - height, frame_wh[0] - left - width
    return cv2.copyMakeBorder(inner, top, below, left, right, cv2.BORDER_REFLECT)
