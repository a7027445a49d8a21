"""Images resized to one size without changing their aspect ratio; the rest is padded."""

from typing import NamedTuple

import cv2
import numpy as np

_WARP_LIMIT = 2**15 - 2  # the longest side that OpenCV warps


class Placement(NamedTuple):
    """Where the resized image lies in the padded one: `width`, `height`, `left`, `top` in pixels of the padded one."""

    width: int
    height: int
    left: int
    top: int


def place(width: int, height: int, size_wh: tuple[int, int]) -> Placement:
    """The largest centred place with the aspect ratio of `width` x `height` in a canvas of `size_wh` pixels.

    A side is never less than one pixel. An odd pixel of padding goes to the right and to the bottom.
    """
    scale = min(size_wh[0] / width, size_wh[1] / height)
    inner_w, inner_h = max(1, round(width * scale)), max(1, round(height * scale))
    return Placement(inner_w, inner_h, (size_wh[0] - inner_w) // 2, (size_wh[1] - inner_h) // 2)


def resize(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Resize `(H, W)` or `(H, W, C)`: by area when either side shrinks, bicubic when the image grows."""
    shrinks = width < image.shape[1] or height < image.shape[0]
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)


def letterbox(
    image: np.ndarray,
    size_wh: tuple[int, int],
    fill: tuple[int, ...] | int,
    whole_wh: tuple[int, int] | None = None,
) -> np.ndarray:
    """Resize and pad `(H, W[, C])` uint8 to `(size_wh[1], size_wh[0][, C])`; `fill` is a value per channel.

    `whole_wh` is the full size where `image` was decoded at a reduced scale: rounding of its sides must not move it.
    """
    width, height = whole_wh or (image.shape[1], image.shape[0])
    placement = place(width, height, size_wh)
    canvas = np.empty((size_wh[1], size_wh[0], *image.shape[2:]), dtype=image.dtype)
    canvas[:] = fill
    rows = slice(placement.top, placement.top + placement.height)
    columns = slice(placement.left, placement.left + placement.width)
    canvas[rows, columns] = resize(image, placement.width, placement.height)
    return canvas


def place_unrounded(width: int, height: int, size_wh: tuple[int, int]) -> tuple[float, float, float, float]:
    """Like `place`, in fractions of pixels: width, height, left and top of the image inside the canvas."""
    scale = min(size_wh[0] / width, size_wh[1] / height)
    inner_w, inner_h = scale * width, scale * height
    return inner_w, inner_h, (size_wh[0] - inner_w) / 2, (size_wh[1] - inner_h) / 2


def warp(image: np.ndarray, size_wh: tuple[int, int], fill: int, whole_wh: tuple[int, int] | None = None) -> np.ndarray:
    """Resize and pad `(H, W[, C])` uint8 to `(size_wh[1], size_wh[0][, C])` by one affine map, bilinear.

    As in CenterNet's reference code (arXiv 1904.07850) and in GluonCV: the place is not rounded, pixel (0, 0) moves to
    its corner, and an image that shrinks is not averaged. `whole_wh` as in `letterbox`.
    """
    whole_w, whole_h = whole_wh or (image.shape[1], image.shape[0])
    while max(image.shape[:2]) > _WARP_LIMIT:
        image = resize(image, max(1, image.shape[1] // 2), max(1, image.shape[0] // 2))
    width, height, left, top = place_unrounded(whole_w, whole_h, size_wh)
    x, y = width / image.shape[1], height / image.shape[0]
    # A pixel of a reduced image covers several, and lies in their middle.
    left, top = left + (x - width / whole_w) / 2, top + (y - height / whole_h) / 2
    matrix = np.array([[x, 0, left], [0, y, top]])
    return cv2.warpAffine(image, matrix, size_wh, flags=cv2.INTER_LINEAR, borderValue=(fill,) * 3)
