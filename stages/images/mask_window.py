"""The part of a crop that a model input shows: all of it, or the box of its mask."""

from typing import NamedTuple

import cv2
import numpy as np

from stages.images import boxes

# From here on a pixel, uint8, is more car than background.
_HALF = 128


class Part(NamedTuple):
    """A part of an image: its corners as shares of the image's width and height, 0..1."""

    x_min: float = 0.0
    y_min: float = 0.0
    x_max: float = 1.0
    y_max: float = 1.0

    def of(self, window: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        """The pixels of this part of a window (x_min, y_min, x_max, y_max): one or more each way."""
        width, height = window[2] - window[0], window[3] - window[1]
        inner = boxes.to_pixels(np.array(self) * (width, height, width, height), width, height)
        return inner[0] + window[0], inner[1] + window[1], inner[2] + window[0], inner[3] + window[1]


WHOLE = Part()


def mask_window(mask: np.ndarray, margin: float) -> tuple[int, int, int, int]:
    """The window of a crop around its mask `(H, W)` uint8: x_min, y_min, x_max, y_max, right and bottom exclusive.

    It holds all pixels that are more car than background, and `margin` times the longer side of their box on every
    side, as far as the crop goes. Where no pixel is, it is the whole crop.
    """
    height, width = mask.shape
    x_min, y_min, box_width, box_height = cv2.boundingRect((mask >= _HALF).astype(np.uint8))
    if not box_width:
        return 0, 0, width, height
    box = np.array([x_min, y_min, x_min + box_width, y_min + box_height], dtype=np.float32)
    return boxes.to_pixels(boxes.expand(box, margin), width, height)


def part_shown(mask: np.ndarray | None, margin: float | None) -> Part:
    """The part of a crop that a model input with `margin` around the mask `(H, W)` uint8 shows.

    It is the whole crop without a mask or a margin.
    """
    if mask is None or margin is None:
        return WHOLE
    height, width = mask.shape
    x_min, y_min, x_max, y_max = mask_window(mask, margin)
    return Part(x_min / width, y_min / height, x_max / width, y_max / height)
