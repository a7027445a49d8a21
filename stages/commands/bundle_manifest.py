"""A folder that holds a whole ensemble, and a manifest by which every file of it is checked before it is used.

`manifest.json` names the format and the SHA-256 of every other file, by its path within the folder.
"""

import hashlib
import json
from pathlib import Path, PurePosixPath

from stages.core import atomic

FORMAT = 1
_MANIFEST = "manifest.json"


class BundleError(ValueError):
    """The folder is no bundle, or not as it was when it was made."""


def seal(folder: Path) -> int:
    """Write the manifest of all files in `folder`; return how many there are."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path != folder / _MANIFEST]
    files = {path.relative_to(folder).as_posix(): _sha256(path) for path in paths}
    atomic.write_json(folder / _MANIFEST, {"format": FORMAT, "files": files})
    return len(files)


def verify(folder: Path) -> None:
    """Check every file of a bundle. Raises BundleError naming the file, what was expected and what was found."""
    path = folder / _MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version, files = manifest["format"], dict(manifest["files"])
    except FileNotFoundError:
        raise BundleError(
            f"{path}: expected a bundle's manifest, found none; make it with `stages.commands.bundle`"
        ) from None
    except (UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{path}: expected a bundle's manifest, found: {error!r}; copy the bundle again") from None
    if version != FORMAT:
        raise BundleError(f"{path}: expected format {FORMAT}, found {version!r}; use the version that made it")
    for name, expected in files.items():
        _require(folder, str(name), expected)


def _require(folder: Path, name: str, expected: object) -> None:
    place = PurePosixPath(name)
    if (
        place.is_absolute()
        or ".." in place.parts
        or "\\" in name
        or not (folder / name).resolve().is_relative_to(folder.resolve())
    ):
        raise BundleError(
            f"{folder / _MANIFEST}: expected names of files in this folder, found {name!r}; do not use it"
        )
    path = folder / name
    if not path.is_file():
        raise BundleError(f"{path}: expected a file, found none; copy the bundle again")
    found = _sha256(path)
    if found != expected:
        raise BundleError(f"{path}: expected the SHA-256 {expected}, found {found}; copy the bundle again")


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
