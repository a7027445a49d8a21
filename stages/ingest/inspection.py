"""Look at every file of the source once: is it a picture, which one, of what class, and what is it for?"""

from pathlib import Path
from typing import NamedTuple

from stages.images import images
from stages.ingest import duplicates


class FileInfo(NamedTuple):
    """What one file turned out to be; `reason` is empty for a picture that can be used."""

    image_id: str
    reason: str
    width: int
    height: int
    phash: str


def inspect_unless_rejected(root: Path, row: tuple[str, str]) -> FileInfo:
    """Look at the file of (path, reason) below `root`, unless there is a reason against it."""
    path, reason = row
    return FileInfo("", reason, 0, 0, "") if reason else inspect_file(root, path)


def inspect_file(root: Path, path: str) -> FileInfo:
    """Read and decode the file at `root / path` once."""
    try:
        content = images.load(root / path)
    except images.ImageError as error:
        return FileInfo("", error.reason, 0, 0, "")
    name = images.image_id(content)
    try:
        photo = images.decode_photo(content, images.at_least(duplicates.ENOUGH_SIDE))
    except images.ImageError as error:
        return FileInfo(name, error.reason, 0, 0, "")
    return FileInfo(name, "", *photo.size_wh, duplicates.perceptual_hash(photo.image))
