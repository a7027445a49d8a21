"""The model input of one photo: cut to its mask, its background removed, blurred or kept, fitted into the frame."""

from typing import NamedTuple

import numpy as np

from stages.images import background, frame, images
from stages.images.mask_window import mask_window
from stages.images.settings import InputSettings
from stages.resize.settings import ResizeSettings


class Composer(NamedTuple):
    """Makes the model inputs of one entry of `inputs`, by the `rule` for all of them."""

    item: InputSettings
    rule: ResizeSettings

    def of_crop(self, crop: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
        """The model input `(height, width, 3)` uint8 RGB of a crop `(H, W, 3)` and its mask `(H, W)`, both uint8.

        Without a mask the whole crop is used and the background is kept.
        """
        if mask is None:
            return self._fit(crop)
        if self.item.mask_margin is not None:
            x_min, y_min, x_max, y_max = mask_window(mask, self.item.mask_margin)
            crop, mask = crop[y_min:y_max, x_min:x_max], mask[y_min:y_max, x_min:x_max]
        if self.item.background == "remove":
            crop = background.remove(crop, mask, self.rule.fill)
        elif self.item.background == "blur":
            crop = background.blur(crop, mask, self.rule.blur)
        return self._fit(crop)

    def of_photo(self, content: bytes) -> np.ndarray:
        """The model input `(height, width, 3)` uint8 RGB of a whole photo, given the bytes of its file.

        Raises ImageError as `images.decode_photo` does.
        """
        return self._fit(images.decode_photo(content, self._share_needed).image)

    def _share_needed(self, size_wh: tuple[int, int]) -> float:
        return max(self.item.width / size_wh[0], self.item.height / size_wh[1])

    def _fit(self, image: np.ndarray) -> np.ndarray:
        return frame.fit(image, self.item.frame_wh, self.item.fit, self.rule.fill)
