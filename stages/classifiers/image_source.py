"""The model inputs of an archive: what a classifier trains on and predicts."""

import io
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from stages.core.archive import Archive, ArchiveError
from stages.core.errors import UserError
from stages.schemas import model_inputs
from stages.schemas.split_data import SplitData


class PhotoError(UserError):
    """An image is missing, cannot be decoded, or has another size than the others."""


class ImageSource(NamedTuple):
    """N images: `read` returns the bytes of the PNG or JPEG of a name, `names` are theirs, `labels` (N,) int64.

    `size_hw` is the height and the width in pixels that every image must have, `soft_targets` (N, C) float32 what a
    teacher predicts of each.
    """

    read: Callable[[str], bytes]
    names: list[str]
    labels: np.ndarray
    size_hw: tuple[int, int]
    soft_targets: np.ndarray | None = None

    @classmethod
    def of(cls, archive: Archive, photos: SplitData, size_hw: tuple[int, int]) -> "ImageSource":
        """The images of `photos` in an archive. Raises PhotoError naming the first that is missing."""
        names = model_inputs.file_names(archive, photos.image_ids)
        for name in names:
            if name not in archive:
                raise PhotoError(f"{archive.path}: expected an image {name}, found none; run `dvc repro resize`")
        return cls(archive.read, names, photos.labels, size_hw)

    def load(self, name: str) -> np.ndarray:
        """The image of a name, (H, W, 3) RGB uint8.

        Raises PhotoError for one that cannot be decoded or has another size, ArchiveError where the archive is damaged.
        """
        try:
            with Image.open(io.BytesIO(self.read(name))) as file:
                image = np.asarray(file.convert("RGB"))
        except (OSError, SyntaxError, ValueError):
            raise self.unreadable(name) from None
        if image.shape[:2] != tuple(self.size_hw):
            raise self.unreadable(name)
        return image

    def unreadable(self, name: str) -> PhotoError:
        """The error of an image that cannot be decoded or has another size."""
        height, width = self.size_hw
        text = f"expected a readable image of {width}x{height} pixels, found another; run `dvc repro -sf resize`"
        return PhotoError(f"{name} among the model inputs: {text}")


def image_size_hw(archive: Archive, photos: SplitData) -> tuple[int, int]:
    """Return height and width in pixels of the first image, which all images have. Raises ArchiveError."""
    (name,) = model_inputs.file_names(archive, photos.image_ids[:1])
    content = archive.read(name)
    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.height, image.width
    except OSError:
        text = f"{archive.path}: {name}: expected an image, found other bytes; run `dvc repro -sf resize`"
        raise ArchiveError("not_an_image", text) from None
