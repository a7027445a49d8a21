"""The crop of one photo, cut out of its file."""

from functools import partial

import numpy as np

from stages.crop.settings import CropSettings
from stages.images import boxes, images, letterbox
from stages.selection.main_car import crop_window


def crop_image(content: bytes, box: np.ndarray | None, rule: CropSettings) -> np.ndarray:
    """The crop of a photo, given the bytes of its file: `(H, W, 3)` uint8 RGB, H and W at most `rule.max_side`.

    It shows the window of a `(4,)` box in pixels of the photo, or all of the photo for None. Raises ImageError
    as `images.decode_photo` does.
    """
    photo = images.decode_photo(content, partial(_share_needed, box, rule))
    corners = crop_window(box, photo.size_wh, rule.margin)
    width, height = corners[2] - corners[0], corners[3] - corners[1]
    # A photo of reduced scale is cut at its nearest pixels.
    scale = np.array([photo.image.shape[1], photo.image.shape[0]] * 2) / np.array(photo.size_wh * 2)
    x_min, y_min, x_max, y_max = boxes.to_pixels((corners * scale).round(), *photo.image.shape[1::-1])
    piece = photo.image[y_min:y_max, x_min:x_max]
    if max(width, height) <= rule.max_side:
        return piece.copy()
    place = letterbox.place(width, height, (rule.max_side, rule.max_side))
    return letterbox.resize(piece, place.width, place.height)


def _share_needed(box: np.ndarray | None, rule: CropSettings, size_wh: tuple[int, int]) -> float:
    x_min, y_min, x_max, y_max = crop_window(box, size_wh, rule.margin)
    return rule.max_side / max(x_max - x_min, y_max - y_min)
