"""Write and read images and archives of images in tests."""

from pathlib import Path

import numpy as np

from stages.core import archive
from stages.core.archive import Archive
from stages.images import images


def write(path: Path, image: np.ndarray) -> None:
    """Write `(H, W, 3)` uint8 RGB or `(H, W)` uint8 to a .jpg or .png as the stages encode it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(images.encode(image, path.suffix))


def put(path: Path, entries: dict[str, np.ndarray | bytes], without: tuple[str, ...] = ()) -> None:
    """Add images, or any bytes, to the archive at `path`, which is created if missing; remove the names `without`.

    A path without the suffix .zip is a folder with one shard.
    """
    kept = {name: content for name, content in (take(path) if path.exists() else {}).items() if name not in without}
    with archive.writing(path if path.suffix == ".zip" else path / "00000.zip") as add:
        for name, content in (kept | entries).items():
            add(name, content if isinstance(content, bytes) else images.encode(content, Path(name).suffix))


def take(path: Path) -> dict[str, bytes]:
    """The bytes of all entries by name, in the order of the archive."""
    stored = Archive(path)
    return {name: stored.read(name) for name in stored.names}


def picture(path: Path, name: str) -> np.ndarray:
    """One image, `(H, W, 3)` uint8 RGB."""
    return images.decode(Archive(path).read(name))


def mask(path: Path, name: str) -> np.ndarray:
    """One mask, `(H, W)` uint8."""
    return images.decode_mask(Archive(path).read(name))
