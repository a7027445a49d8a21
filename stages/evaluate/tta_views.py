"""The views of test-time augmentation: a fixed list of transforms in a fixed order."""

from typing import NamedTuple

import cv2
import numpy as np


class View(NamedTuple):
    """A transform: mirrored, scaled by `zoom` about the centre, rotated by `turn` degrees counterclockwise."""

    flip: bool = False
    zoom: float = 1.0
    turn: float = 0.0


VIEWS = (
    View(),
    View(flip=True),
    View(zoom=1.1),
    View(flip=True, zoom=1.1),
    View(turn=4),
    View(flip=True, turn=4),
    View(zoom=0.9),
    View(flip=True, zoom=0.9),
)


def apply_transform(photo: np.ndarray, view: View) -> np.ndarray:
    """Return `photo` (H, W, 3) uint8 RGB transformed by `view`; edge pixels are replicated outwards."""
    if view.flip:
        photo = photo[:, ::-1]
    if (view.zoom, view.turn) != (1.0, 0.0):
        height, width = photo.shape[:2]
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), view.turn, view.zoom)
        photo = cv2.warpAffine(photo, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.ascontiguousarray(photo)
