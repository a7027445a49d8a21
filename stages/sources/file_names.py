"""What the name of a file says about it."""

import posixpath
from pathlib import PurePosixPath

from stages.sources.store import is_url

PHOTO_SUFFIXES = frozenset(
    {
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".dib", ".gif"),
        *(".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".avif", ".heic", ".heif", ".hif"),
    }
)
TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")


def is_photo_name(path: str) -> bool:
    """Whether the ending of a path is that of an image format; a name that is only an ending is none."""
    stem, dot, ending = path.rpartition(".")  # `posixpath.splitext` takes four times as long, for each photo
    return dot + ending.lower() in PHOTO_SUFFIXES and stem != "" and not stem.endswith("/")


def is_table_name(path: str) -> bool:
    """Whether the ending of a path is that of a table."""
    return posixpath.splitext(path)[1].lower() in TABLE_SUFFIXES


def annotation_name(source: str) -> str:
    """The name of the table or annotation file that a source is, or empty for a folder or an archive of photos.

    A URL may end in a query, such as `?versionId=1`.
    """
    path = PurePosixPath(source.partition("?")[0] if is_url(source) else source)
    return path.name if is_table_name(path.name) or path.suffix.lower() == ".json" else ""
