"""Atomic writing: files that are complete or not there. All outputs of stages are written so."""

import glob
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Hex digits that distinguish temporary files of one path.
_SUFFIX_DIGITS = 8


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it to `path` when the block ends without error.

    The temporary name keeps the suffix, because encoders such as OpenCV's choose the format by it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:_SUFFIX_DIGITS]}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def clear(path: Path) -> None:
    """Remove temporary files of `path` that killed runs left: those of large files would fill the disk."""
    for temporary in path.parent.glob(f".{glob.escape(path.stem)}.{'[0-9a-f]' * _SUFFIX_DIGITS}{path.suffix}"):
        temporary.unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, completely or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8 with Unix line ends, completely or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON with sorted keys, so that equal values give equal bytes.

    Raises ValueError on NaN and infinity, which JSON does not have.
    """
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n")
