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


def folder() -> Path | None:
    """Where compiled networks lie: below XDG_CACHE_HOME, or ~/.cache; None for a user without a home."""
    named = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        # The XDG Base Directory Specification ignores a relative path.
        root = named if named.is_absolute() else Path("~/.cache").expanduser()
    except RuntimeError:
        return None
    return root / "fine-grained-cars" / "networks"


def has_any(network: str) -> bool:
    """Whether the network with this SHA-256 has been compiled here, for whatever images."""
    place = folder()
    return place is not None and any(place.glob(f"{network}-*.blob"))


def read(network: str, key: str) -> bytes | None:
    """What `write` kept; None if there is nothing, or if it is damaged."""
    place = folder()
    try:
        content = _path(place, network, key).read_bytes() if place else b""
    except OSError:
        return None
    digest, compiled = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    return compiled if hashlib.sha256(compiled).digest() == digest else None


def write(network: str, key: str, compiled: bytes) -> None:
    """Keep the `compiled` form of the network with this SHA-256; `key` names all else that it depends on, in hex.

    Without a folder, or where it is full or read-only, the network is compiled again next time.
    """
    place = folder()
    if place is None:
        return
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        atomic.write_bytes(_path(place, network, key), hashlib.sha256(compiled).digest() + compiled)
        for old in sorted(place.glob("*.blob"), key=lambda file: file.stat().st_mtime_ns)[:-_MAX_FILES]:
            old.unlink(missing_ok=True)
    except OSError:
        return


def _path(place: Path, network: str, key: str) -> Path:
    return place / f"{network}-{key}.blob"
