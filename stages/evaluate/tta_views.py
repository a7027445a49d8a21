"""Several views of a photo answered and averaged at test time, more of them where the first ones disagree.

The views are a fixed list in a fixed order, and every one is applied to the full: nothing is drawn by lot, so the same
photo gets the same answer, whatever other photos there are.
"""

from typing import NamedTuple

import cv2
import numpy as np


class View(NamedTuple):
    """A way to look at a photo: mirrored, magnified (above 1 the middle of it), turned to the left in degrees."""

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


def apply_transform(photos: np.ndarray, view: View) -> np.ndarray:
    """Return RGB uint8 `photos` (N, H, W, 3) as `view` shows them; edge pixels are repeated outwards."""
    if view.flip:
        photos = photos[:, :, ::-1]
    if (view.zoom, view.turn) != (1.0, 0.0):
        height, width = photos.shape[1:3]
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), view.turn, view.zoom)
        warped = [cv2.warpAffine(photo, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE) for photo in photos]
        photos = np.stack(warped) if warped else photos
    return np.ascontiguousarray(photos)
