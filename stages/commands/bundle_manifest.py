"""The manifest of a bundle: the SHA-256 of every file, checked before the bundle is used.

`manifest.json` holds the number of the format, and the SHA-256 of every other file by its path within the folder.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from stages.core import atomic
from stages.core.errors import UserError

FORMAT = 2
NAME = "manifest.json"
# The model card in Markdown.
CARD = "README.md"


class BundleError(UserError):
    """The folder is no bundle, or a file of it has changed."""


def write(folder: Path) -> int:
    """Write the manifest of all files in `folder`; return their number."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and path != folder / NAME]
    files = {path.relative_to(folder).as_posix(): _sha256(path) for path in paths}
    atomic.write_json(folder / NAME, {"format": FORMAT, "files": files})
    return len(files)


def verify(folder: Path) -> set[str]:
    """Check every file of a bundle that its manifest lists, and return their names.

    Raises BundleError, which names the file, what was expected and what was found.
    """
    path = folder / NAME
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version, files = manifest["format"], dict(manifest["files"])
    except FileNotFoundError:
        message = f"{path}: expected the manifest of a bundle, found none; run `python -m stages bundle`"
        raise BundleError(message) from None
    except (UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise BundleError(
            f"{path}: expected the manifest of a bundle, found: {error!r}; copy the bundle again"
        ) from None
    if version != FORMAT:
        raise BundleError(
            f"{path}: expected format {FORMAT}, found {version!r}; use the version of the project that wrote it"
        )
    for name, expected in files.items():
        _verify_file(folder, str(name), expected)
    return set(map(str, files))


def require_listed(folder: Path, names: Iterable[str], listed: set[str]) -> None:
    """Raise BundleError for a file that would be used and has no hash in the manifest."""
    for name in names:
        if name not in listed:
            raise BundleError(f"{folder / name}: expected a hash of it in {NAME}, found none; copy the bundle again")


def _verify_file(folder: Path, name: str, expected: object) -> None:
    if not _is_inside(folder, name):
        raise BundleError(f"{folder / NAME}: expected names of files in this folder, found {name!r}; do not use it")
    path = folder / name
    if not path.is_file():
        raise BundleError(f"{path}: expected a file, found none; copy the bundle again")
    actual = _sha256(path)
    if actual != expected:
        raise BundleError(f"{path}: expected the SHA-256 {expected}, found {actual}; copy the bundle again")


def _is_inside(folder: Path, name: str) -> bool:
    """Whether a path of the manifest lies in the folder, links resolved."""
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts or "\\" in name:
        return False
    return (folder / name).resolve().is_relative_to(folder.resolve())


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
