"""Show all of it on one page: what became of every photo, where the models err, and how sure the result is."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from stages.core.archive import Archive
from stages.images import archived, background, images, letterbox
from stages.report.pictures import Thumbnail
from stages.schemas import crops, masks

# Stands behind a masked car: a colour that is rare in paint, road and sky.
_BEHIND = (158, 120, 190)


@dataclass(frozen=True)
class ArchiveThumbnails:
    """The pictures that the stages read and wrote, as thumbnails of at most `side` pixels; see pictures.Album."""

    photos: Path
    crops: Archive
    masks: Archive
    letterbox: Archive
    side: int

    def photo(self, path: str, image_id: str) -> Thumbnail:
        """The whole photo, if it is still the one that the tables tell of."""
        return self._look(lambda: self._photo(path, image_id))

    def crop(self, image_id: str) -> Thumbnail:
        """The crop of the photo."""
        return self._look(lambda: self._crop(image_id))

    def masked(self, image_id: str) -> Thumbnail:
        """The crop where its mask is not 0."""
        return self._look(lambda: self._masked(image_id, 1.0))

    def tinted(self, image_id: str) -> Thumbnail:
        """The crop, half one colour where its mask is 0."""
        return self._look(lambda: self._masked(image_id, 0.5))

    def padded(self, file: str) -> Thumbnail:
        """The picture that the models see."""
        return self._look(lambda: archived.read_image(self.letterbox, file))

    def _photo(self, path: str, image_id: str) -> np.ndarray:
        content = images.load(self.photos / path, image_id or None)
        return images.decode_photo(content, images.at_least(4 * self.side)).image

    def _crop(self, image_id: str) -> np.ndarray:
        return archived.read_image(self.crops, crops.picture_of(image_id))

    def _masked(self, image_id: str, strength: float) -> np.ndarray:
        crop = self._crop(image_id)
        mask = archived.read_mask(self.masks, masks.picture_of(image_id))
        masked = background.remove(crop, mask, _BEHIND)
        return cv2.addWeighted(masked, strength, crop, 1 - strength, 0)

    def _look(self, read: Callable[[], np.ndarray]) -> Thumbnail:
        try:
            return Thumbnail(shrunk(read(), self.side), "")
        except images.ImageError as error:
            return Thumbnail(None, error.reason)


def shrunk(image: np.ndarray, side: int) -> np.ndarray:
    """Bring `(H, W, 3)` uint8 to at most `side` pixels each way, aspect ratio intact; a small one stays."""
    if max(image.shape[:2]) <= side:
        return image
    place = letterbox.place(image.shape[1], image.shape[0], (side, side))
    return letterbox.resize(image, place.width, place.height)
