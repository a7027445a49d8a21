"""Thumbnails of the files that the stages read and wrote."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np

from stages.core.archive import Archive
from stages.images import archived, background, images, letterbox
from stages.report.pictures import Thumbnail
from stages.schemas import crops, masks, model_inputs
from stages.sources.photos import Photos

# The background of a masked car: a colour that is rare in paint, road and sky.
_BACKGROUND = (158, 120, 190)


@dataclass(frozen=True)
class ArchiveThumbnails:
    """A pictures.ThumbnailStore: thumbnails of at most `side` pixels, from the source `photos` and the archives."""

    photos: Photos
    crops: Archive
    masks: Archive
    inputs: dict[str, Archive]
    side: int

    def photo(self, path: str, image_id: str, split: str) -> Thumbnail:
        """The photo, if its bytes have not changed since ingest."""
        return self._thumbnail(lambda: self._photo(path, image_id, split))

    def crop(self, image_id: str) -> Thumbnail:
        """The crop of the photo."""
        return self._thumbnail(lambda: self._crop(image_id))

    def masked(self, image_id: str) -> Thumbnail:
        """The crop with its background in one colour."""
        return self._thumbnail(lambda: self._masked(image_id, 1.0))

    def tinted(self, image_id: str) -> Thumbnail:
        """The crop with its background mixed half with one colour."""
        return self._thumbnail(lambda: self._masked(image_id, 0.5))

    def model_inputs(self, image_id: str) -> dict[str, Thumbnail]:
        """What the models see, by a caption that names the input where there are several."""
        return {
            f"input {name}" if len(self.inputs) > 1 else "model input": self._thumbnail(
                partial(self._model_input, archive, image_id)
            )
            for name, archive in self.inputs.items()
        }

    def _model_input(self, archive: Archive, image_id: str) -> np.ndarray:
        (file,) = model_inputs.file_names(archive, [image_id])
        return archived.read_image(archive, file)

    def _photo(self, path: str, image_id: str, split: str) -> np.ndarray:
        content = self.photos.load(path, image_id, split)
        return images.decode_photo(content, images.at_least(4 * self.side)).image

    def _crop(self, image_id: str) -> np.ndarray:
        return archived.read_image(self.crops, crops.file_name(image_id))

    def _masked(self, image_id: str, strength: float) -> np.ndarray:
        crop = self._crop(image_id)
        mask = archived.read_mask(self.masks, masks.file_name(image_id))
        masked = background.remove(crop, mask, _BACKGROUND)
        return cv2.addWeighted(masked, strength, crop, 1 - strength, 0)

    def _thumbnail(self, read: Callable[[], np.ndarray]) -> Thumbnail:
        try:
            return Thumbnail(downscaled(read(), self.side), "")
        except images.ImageError as error:
            return Thumbnail(None, error.reason)


def downscaled(image: np.ndarray, side: int) -> np.ndarray:
    """Downscale `(H, W, 3)` uint8 to at most `side` pixels each way at its aspect ratio; a smaller one stays."""
    if max(image.shape[:2]) <= side:
        return image
    place = letterbox.place(image.shape[1], image.shape[0], (side, side))
    return letterbox.resize(image, place.width, place.height)
