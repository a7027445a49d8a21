"""Inspect one file: id, size and perceptual hash of its image, or the reason why it cannot be read."""

from functools import partial
from typing import NamedTuple

import pandas as pd

from stages.core import batches, progress
from stages.images import images
from stages.ingest import duplicates
from stages.sources.photos import Photos
from stages.sources.store import Store


class FileInfo(NamedTuple):
    """The id, upright size in pixels and perceptual hash of one file; `reason` is empty for a readable image.

    `note` says what was repaired. `orientation` is that of its EXIF data, 1..8.
    """

    image_id: str
    reason: str
    note: str = ""
    width: int = 0
    height: int = 0
    phash: str = ""
    orientation: int = 1


def inspect_file(store: Store, path: str, version: str) -> FileInfo:
    """Read and decode a file of `store`; its bytes must be those of `version` (see data/files.csv)."""
    kind, _, digest = version.partition(":")
    try:
        content = store.load(path, digest[:16] if kind == "sha256" else None)
    except images.ImageError as error:
        return FileInfo("", error.reason)
    name = images.image_id(content)
    try:
        photo = images.decode_photo(content, images.at_least(duplicates.MIN_SIDE))
    except images.ImageError as error:
        return FileInfo(name, error.reason)
    phash = duplicates.perceptual_hash(photo.image)
    return FileInfo(name, "", photo.note, *photo.size_wh, phash, images.exif_orientation(content))


def inspect_row(photos: Photos, row: tuple[str, str, str]) -> FileInfo:
    """Inspect the file of a row (path, split, version) of data/files.csv."""
    path, split, version = row
    return inspect_file(photos.store(split), path, version)


def inspect(listed: pd.DataFrame, photos: Photos) -> pd.DataFrame:
    """Add the columns of FileInfo to the rows of data/files.csv; each file is decoded once."""
    to_read = listed[listed["reason"] == ""].drop_duplicates(["split", "path"])
    keys = list(zip(to_read["path"], to_read["split"], to_read["version"]))
    made = batches.ordered_thread_map(partial(inspect_row, photos), keys, ahead=32, threads=photos.threads)
    infos = {key[:2]: info for key, info in progress.track(made, len(keys), "photo", "ingest")}
    rejected = [FileInfo("", reason) for reason in listed["reason"]]
    rows = zip(listed["path"], listed["split"], rejected)
    found = pd.DataFrame([infos.get((path, split), own) if not own.reason else own for path, split, own in rows])
    return listed.drop(columns=["reason", "version"]).join(found)
