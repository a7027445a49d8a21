"""Compiled networks kept between runs in the user's cache folder: compiling one takes longer than predicting a photo.

OpenVINO has a cache of its own, but writes into its files in place: a second process may read half of one.
"""

import hashlib
import os
from pathlib import Path

from stages.core import atomic

_DIGEST_BYTES = 32
# Of the most recent; an ensemble has five or so, one file for each size of image.
_MAX_FILES = 32


def folder() -> Path:
    """Where compiled networks lie: below XDG_CACHE_HOME, or ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "fine-grained-cars" / "networks"


def has_any(network: str) -> bool:
    """Whether the network with this SHA-256 has been compiled here, for whatever images."""
    return any(folder().glob(f"{network}-*.blob"))


def read(network: str, key: str) -> bytes | None:
    """What `write` kept; None if there is nothing, or if it is damaged."""
    try:
        content = _path(network, key).read_bytes()
    except OSError:
        return None
    digest, compiled = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    return compiled if hashlib.sha256(compiled).digest() == digest else None


def write(network: str, key: str, compiled: bytes) -> None:
    """Keep the `compiled` form of the network with this SHA-256; `key` names all else that it depends on, in hex.

    A folder that is full or read-only is no error.
    """
    path = _path(network, key)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomic.write_bytes(path, hashlib.sha256(compiled).digest() + compiled)
        for old in sorted(path.parent.glob("*.blob"), key=lambda file: file.stat().st_mtime_ns)[:-_MAX_FILES]:
            old.unlink(missing_ok=True)
    except OSError:
        return  # it is compiled again next time


def _path(network: str, key: str) -> Path:
    return folder() / f"{network}-{key}.blob"
