"""Images, masks and maps in the archives that stages write. Every function raises ImageError with the reason.

The reason is `missing` or `truncated`, or one of those of decoding; the text names the archive and the image.
"""

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from stages.core.archive import ArchiveError, ReadsArchive
from stages.images import images

Decoded = TypeVar("Decoded")


def read_bytes(archive: ReadsArchive, name: str) -> bytes:
    """The bytes of an image."""
    try:
        return archive.read(name)
    except ArchiveError as error:
        raise images.ImageError(error.reason, str(error)) from None


def read_image(archive: ReadsArchive, name: str) -> np.ndarray:
    """An image, `(H, W, 3)` uint8 RGB."""
    return _decode(archive, name, images.decode)


def read_mask(archive: ReadsArchive, name: str) -> np.ndarray:
    """A mask or map, `(H, W)` uint8, 255 = wholly the object."""
    return _decode(archive, name, images.decode_mask)


def read_size_wh(archive: ReadsArchive, name: str) -> tuple[int, int]:
    """Width and height of an image in pixels, from its header alone."""
    return _decode(archive, name, images.header_size_wh)


def _decode(archive: ReadsArchive, name: str, decode: Callable[[bytes], Decoded]) -> Decoded:
    content = read_bytes(archive, name)
    try:
        return decode(content)
    except images.ImageError as error:
        raise error.of(f"{archive.path}: {name}") from None
