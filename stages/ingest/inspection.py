"""Inspect one file: id, size and perceptual hash of its image, or the reason why it cannot be read."""

from pathlib import Path
from typing import NamedTuple

from stages.images import images
from stages.ingest import duplicates


class FileInfo(NamedTuple):
    """The id, full size in pixels and perceptual hash of one file; `reason` is empty for a readable image."""

    image_id: str
    reason: str
    width: int
    height: int
    phash: str


def inspect_unless_rejected(root: Path, row: tuple[str, str]) -> FileInfo:
    """Inspect the file of a row (path, reason) below `root`, unless the row has a reason already."""
    path, reason = row
    return FileInfo("", reason, 0, 0, "") if reason else inspect_file(root, path)


def inspect_file(root: Path, path: str) -> FileInfo:
    """Read and decode the file at `root / path`."""
    try:
        content = images.load(root / path)
    except images.ImageError as error:
        return FileInfo("", error.reason, 0, 0, "")
    name = images.image_id(content)
    try:
        photo = images.decode_photo(content, images.at_least(duplicates.MIN_SIDE))
    except images.ImageError as error:
        return FileInfo(name, error.reason, 0, 0, "")
    return FileInfo(name, "", *photo.size_wh, duplicates.perceptual_hash(photo.image))
