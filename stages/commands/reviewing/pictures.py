"""Pictures of one photo for the page, read and encoded when they are asked for."""

import threading
from pathlib import Path

import numpy as np

from stages.core.archive import Archive, ArchiveError
from stages.images import images
from stages.images.errors import ImageError
from stages.report.thumbnails import ArchiveThumbnails, downscaled
from stages.sources.photos import Photos

PICTURES = ("photo", "small", "crop", "mask")
# Sides in pixels at most: of the photo; of crop and mask; of a near-duplicate beside the photo.
_PHOTO_SIDE, _CROP_SIDE, _SMALL_SIDE = 1280, 512, 192
# Pictures made at a time: the browser asks for several, and each decoded photo takes memory.
_AT_ONCE = 3


class PictureStore:
    """Pictures as JPEG files, from the source `photos` and the archives `crops` and `masks`, opened at first use."""

    def __init__(self, photos: Photos, crops: Path, masks: Path) -> None:
        self._photos, self._crops, self._masks = photos, crops, masks
        self._thumbnails: ArchiveThumbnails | None = None
        self._opening, self._slots = threading.Lock(), threading.BoundedSemaphore(_AT_ONCE)

    def read(self, kind: str, image_id: str, path: str, split: str) -> bytes:
        """One of PICTURES: the upright photo, also as a small one; its crop; the crop with its background tinted.

        Raises ImageError with the reason why there is none.
        """
        with self._slots:
            if kind in ("photo", "small"):
                return images.encode(self._photo(image_id, path, split, kind == "small"), ".jpg")
            thumbnails = self._open()
            thumbnail = {"crop": thumbnails.crop, "mask": thumbnails.tinted}[kind](image_id)
        if thumbnail.image is None:
            raise ImageError(thumbnail.reason, f"the {kind} of {path}")
        return images.encode(thumbnail.image, ".jpg")

    def _photo(self, image_id: str, path: str, split: str, is_small: bool) -> np.ndarray:
        side = _SMALL_SIDE if is_small else _PHOTO_SIDE
        content = self._photos.load(path, image_id, split)
        return downscaled(images.decode_photo(content, images.at_least(side)).image, side)

    def _open(self) -> ArchiveThumbnails:
        with self._opening:
            if self._thumbnails is None:
                crops, masks = _archive(self._crops), _archive(self._masks)
                self._thumbnails = ArchiveThumbnails(self._photos, crops, masks, {}, _CROP_SIDE)
            return self._thumbnails


def _archive(path: Path) -> Archive:
    """Open an archive. Raises ImageError where there is none."""
    try:
        return Archive(path)
    except ArchiveError as error:
        raise ImageError(error.reason, str(error)) from None
