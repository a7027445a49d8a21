"""Files that are there whole or not at all: everything a stage writes goes through here."""

import glob
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Hex digits that tell unfinished files of one path apart.
_MARK = 8


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; put it in place of `path` when the block ends without error.

    The temporary name keeps the suffix, because encoders such as OpenCV's choose the format by it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:_MARK]}{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def clear(path: Path) -> None:
    """Remove what killed runs left of `path`: of large files, such remains would fill the disk one by one."""
    for unfinished in path.parent.glob(f".{glob.escape(path.stem)}.{'[0-9a-f]' * _MARK}{path.suffix}"):
        unfinished.unlink()


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8 with Unix line ends, whole or not at all."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write `value` as JSON with sorted keys, so that equal values give equal bytes.

    Raises ValueError on NaN and infinity, which JSON does not know.
    """
    write_text(path, json.dumps(value, indent=2, sort_keys=True, allow_nan=False, ensure_ascii=False) + "\n")
