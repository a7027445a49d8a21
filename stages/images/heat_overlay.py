"""Heat maps of model inputs, brought back to the image that the input was made from, and drawn over it."""

import cv2
import numpy as np

from stages.images import frame
from stages.images.letterbox import Placement
from stages.images.settings import Fit

# The share of the colour where the map is highest, and the sequential colours, which a colour-blind reader can order.
_STRENGTH = 0.75
_COLOURS = cv2.COLORMAP_INFERNO


def to_image(shares: np.ndarray, frame_wh: tuple[int, int], how: Fit, size_wh: tuple[int, int]) -> np.ndarray:
    """The share of each pixel of an image of `size_wh` pixels, `(H, W)` float64 with the sum 1.

    `shares` `(h, w)`, none negative, divide the frame that the image was fitted into evenly, as a feature map does.
    What lies on mirrored edges goes back to the pixels that they show; what lies on padding is dropped. Zeros stay.
    """
    placement = frame.place(*size_wh, frame_wh, how)
    whole = cv2.resize(shares.astype(np.float64), frame_wh, interpolation=cv2.INTER_LINEAR)
    inner = _fold(_fold(whole, placement, how).T, Placement(*_turned(placement)), how).T
    shrinks = size_wh[0] < inner.shape[1] or size_wh[1] < inner.shape[0]
    resized = cv2.resize(inner, size_wh, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return normalised(resized)


def on_window(
    shares: np.ndarray, frame_wh: tuple[int, int], how: Fit, window: tuple[int, int, int, int], size_wh: tuple[int, int]
) -> np.ndarray:
    """The share of each pixel of an image of `size_wh` pixels, whose `window` was fitted into the frame: `to_image`.

    The window (x_min, y_min, x_max, y_max) has one pixel or more each way; outside it the shares are zero.
    """
    x_min, y_min, x_max, y_max = window
    return paste(to_image(shares, frame_wh, how, (x_max - x_min, y_max - y_min)), window, size_wh)


def normalised(shares: np.ndarray) -> np.ndarray:
    """`shares` divided by their sum; zeros stay zeros."""
    total = shares.sum()
    return shares / total if total > 0 else shares


def _turned(placement: Placement) -> tuple[int, int, int, int]:
    return placement.height, placement.width, placement.top, placement.left


def _fold(whole: np.ndarray, placement: Placement, how: Fit) -> np.ndarray:
    """Add the rows of the frame `(H, W)` to those of the image inside it that they show, `(height, W)`."""
    rows = np.arange(len(whole)) - placement.top
    if how == "reflect":
        rows %= 2 * placement.height
        rows = np.minimum(rows, 2 * placement.height - 1 - rows)
    is_inside = (rows >= 0) & (rows < placement.height)
    inner = np.zeros((placement.height, whole.shape[1]))
    np.add.at(inner, rows[is_inside], whole[is_inside])
    return inner


def paste(shares: np.ndarray, window: tuple[int, int, int, int], size_wh: tuple[int, int]) -> np.ndarray:
    """`shares` `(H, W)` of a window (x_min, y_min, x_max, y_max) in an image of `size_wh` pixels, zero elsewhere."""
    x_min, y_min, x_max, y_max = window
    whole = np.zeros(size_wh[::-1])
    whole[y_min:y_max, x_min:x_max] = shares
    return whole


def draw(image: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The map `(H, W)` in colours over the image in grey, both `(H, W, 3)` uint8 RGB; the highest share is brightest.

    Where the map is zero the image has its grey alone.
    """
    highest = shares.max()
    scaled = shares / highest if highest > 0 else np.zeros_like(shares)
    colours = cv2.cvtColor(cv2.applyColorMap((255 * scaled).round().astype(np.uint8), _COLOURS), cv2.COLOR_BGR2RGB)
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    weight = (_STRENGTH * scaled).astype(np.float32)
    return cv2.blendLinear(colours, grey, weight, 1 - weight)
