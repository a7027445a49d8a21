"""Pictures and archives of them, for tests that put some there and look at what the stages made."""

from pathlib import Path

import numpy as np

from stages.core import archive
from stages.core.archive import Archive
from stages.images import images


def write(path: Path, picture: np.ndarray) -> None:
    """Write `(H, W, 3)` uint8 RGB or `(H, W)` uint8 to a .jpg or .png as the stages encode it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(images.encode(picture, path.suffix))


def put(path: Path, pictures: dict[str, np.ndarray | bytes], without: tuple[str, ...] = ()) -> None:
    """Add pictures, or bytes that are none, to the archive at `path`, which need not be there; leave some out."""
    kept = {name: content for name, content in (take(path) if path.exists() else {}).items() if name not in without}
    with archive.writing(path) as add:
        for name, content in (kept | pictures).items():
            add(name, content if isinstance(content, bytes) else images.encode(content, Path(name).suffix))


def take(path: Path) -> dict[str, bytes]:
    """The bytes of all pictures by name, in the order in which they lie there."""
    stored = Archive(path)
    return {name: stored.read(name) for name in stored.names}


def picture(path: Path, name: str) -> np.ndarray:
    """One picture, `(H, W, 3)` uint8 RGB."""
    return images.decode(Archive(path).read(name))


def mask(path: Path, name: str) -> np.ndarray:
    """One mask, `(H, W)` uint8."""
    return images.decode_mask(Archive(path).read(name))
