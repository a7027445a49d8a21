"""A picture of any shape brought into a square: what becomes of its aspect ratio and of the room left over."""

from typing import Literal

import cv2
import numpy as np

from stages.imaging import letterbox

Fit = Literal["pad", "reflect", "squash"]


def place(width: int, height: int, side: int, how: Fit) -> letterbox.Placement:
    """Where a picture of `width` x `height` comes to lie in the square, all in pixels."""
    if how == "squash":
        return letterbox.Placement(side, side, 0, 0)
    return letterbox.place(width, height, (side, side))


def fit(image: np.ndarray, side: int, how: Fit, fill: tuple[int, int, int]) -> np.ndarray:
    """Bring `(H, W, 3)` uint8 RGB into `(side, side, 3)`.

    `pad` keeps the aspect ratio and fills the room left over with a colour, `reflect` fills it with the picture
    mirrored at its edges, as often as it takes, and `squash` stretches the picture to the square.
    """
    if how == "squash":
        return letterbox.resize(image, side, side)
    if how == "pad":
        return letterbox.letterbox(image, (side, side), fill)
    return _reflected(image, side)


def _reflected(image: np.ndarray, side: int) -> np.ndarray:
    width, height, left, top = place(image.shape[1], image.shape[0], side, "reflect")
    inner = letterbox.resize(image, width, height)
    return cv2.copyMakeBorder(inner, top, side - top - height, left, side - left - width, cv2.BORDER_REFLECT)
