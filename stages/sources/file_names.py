"""What the name of a file says about it."""

from pathlib import PurePosixPath

PHOTO_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".tif", ".tiff", ".bmp", ".dib", ".gif", ".ppm", ".pgm", ".pbm")
    + (".pnm", ".jp2", ".j2k", ".avif", ".heic", ".heif", ".hif")
)
TABLE_SUFFIXES = (".csv", ".tsv", ".parquet")


def is_photo_name(path: str) -> bool:
    """Whether the ending of a path is that of an image format."""
    return PurePosixPath(path).suffix.lower() in PHOTO_SUFFIXES


def is_table_name(path: str) -> bool:
    """Whether the ending of a path is that of a table."""
    return PurePosixPath(path).suffix.lower() in TABLE_SUFFIXES


def is_annotation_name(path: str) -> bool:
    """Whether the ending of a path is that of a table or an annotation file, which names photos."""
    return is_table_name(path) or path.lower().endswith(".json")
