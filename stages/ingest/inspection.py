"""Inspect one file: id, size and perceptual hash of its image, or the reason why it cannot be read."""

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

import pandas as pd

from stages.core import batches, progress, system
from stages.core.result_cache import Missing, ResultCache, code_digest
from stages.images import images
from stages.ingest import duplicates
from stages.sources.photos import Photos
from stages.sources.store import Store

# Of data/files.csv: path, split and version.
Row = tuple[str, str, str]


class FileInfo(NamedTuple):
    """The id, upright size in pixels and perceptual hash of one file; `reason` is empty for a readable image.

    `note` says what was repaired. Of its EXIF data are `orientation`, 1..8, and `exif_time`, the seconds of
    DateTimeOriginal by the clock of the camera, NaN where there is none.
    """

    image_id: str
    reason: str
    note: str = ""
    width: int = 0
    height: int = 0
    phash: str = ""
    orientation: int = 1
    exif_time: float = math.nan


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
    exif = images.read_exif(content)
    return FileInfo(name, "", photo.note, *photo.size_wh, phash, exif.orientation, _seconds(exif.time_original))


def _seconds(text: str) -> float:
    """The seconds of a date and time of EXIF data; NaN for what is none, such as `0000:00:00 00:00:00`."""
    try:
        return datetime.strptime(text.strip("\0 "), "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return math.nan


def _stored_as(row: Row) -> str:
    """The key of a row in the cache: of a hash alone, wherever the file lies."""
    path, split, version = row
    return version if version.startswith("sha256:") else json.dumps([path, split, version])


def inspect_row(photos: Photos, row: Row) -> FileInfo:
    """Inspect the file of a row of data/files.csv."""
    path, split, version = row
    return inspect_file(photos.store(split), path, version)


def cache_key() -> dict[str, object]:
    """What the FileInfo of a file depends on beside its bytes: code and packages."""
    return {"code": code_digest("stages.ingest.inspection"), "system": system.image_libraries()}


def inspect(listed: pd.DataFrame, photos: Photos, cache: ResultCache) -> pd.DataFrame:
    """Add the columns of FileInfo to the rows of data/files.csv; each file is decoded once, as long as `cache` lives.

    Without an image id, a file is read anew each time: it may be there by then.
    """
    new = Missing(cache, partial(_rows, listed[listed["reason"] == ""].drop_duplicates(["split", "path"])), _stored_as)
    made = batches.ordered_thread_map(partial(inspect_row, photos), new, ahead=32, threads=photos.threads)
    unread: dict[Row, FileInfo] = {}

    def results() -> Iterator[tuple[str, bytes]]:
        for row, info in progress.track(made, len(new), "photo", "ingest"):
            if info.image_id:
                yield _stored_as(row), json.dumps(info).encode()
            else:
                unread[row] = info

    cache.put_many(results())
    some = batches.batched(zip(_rows(listed), listed["reason"]), batches.ROWS_AT_ONCE)
    parts = [pd.DataFrame(_infos(rows, unread, cache), columns=list(FileInfo._fields)) for rows in some]
    return listed.drop(columns=["reason", "version"]).join(pd.concat(parts, ignore_index=True))


def _rows(listed: pd.DataFrame) -> Iterator[Row]:
    return zip(listed["path"], listed["split"], listed["version"])


def _infos(rows: list[tuple[Row, str]], unread: dict[Row, FileInfo], cache: ResultCache) -> list[FileInfo]:
    """The facts of rows, given with the reasons of those that are not to be read."""
    known = dict(cache.get_many({_stored_as(row) for row, reason in rows if not reason and row not in unread}))

    def info(row: Row, reason: str) -> FileInfo:
        if reason:
            return FileInfo("", reason)
        return unread.get(row) or FileInfo(*json.loads(known[_stored_as(row)]))

    return [info(row, reason) for row, reason in rows]
