"""Find the listed file that an annotation names."""

import posixpath
import unicodedata
from collections.abc import Iterable
from functools import cached_property
from pathlib import PurePosixPath

from stages.scan.rows import LayoutError
from stages.sources.file_names import is_photo_name


def photo_stem(name: str) -> str:
    """Return a name without the ending of a photo; other endings stay, as in `car.v2`."""
    return posixpath.splitext(name)[0] if is_photo_name(name) else name


def leaves_root(path: str) -> bool:
    """Return whether a path is absolute or leads out of the folder that it is relative to."""
    return path.startswith("/") or path == ".." or path.startswith("../")


class PathLookup:
    """The files of a source by path."""

    def __init__(self, paths: Iterable[str]) -> None:
        """`paths` are relative to the source's root, with forward slashes."""
        self._paths = frozenset(paths)
        self._by_key: dict[str, list[str]] = {}
        for path in sorted(self._paths):
            self._by_key.setdefault(plain(path), []).append(path)

    @cached_property
    def folders(self) -> list[str]:
        """All folders that hold files, sorted, with those around them; not the root, which is an empty text."""
        folders = {posixpath.dirname(path) for path in self._paths}
        return sorted(
            {str(around) for folder in folders for around in (folder, *PurePosixPath(folder).parents)} - {"", "."}
        )

    def find(self, path: str) -> str | None:
        """Return the listed path equal to `path`; else the one that differs only in slashes or Unicode form, or None.

        Raises LayoutError if two listed paths differ only in that.
        """
        if path in self._paths:
            return path
        close = self._by_key.get(plain(path), [])
        if len(close) > 1:
            raise LayoutError(f"{path}: expected one file of this name, found {' and '.join(map(ascii, close))}")
        return close[0] if close else None

    def find_below(self, folders: Iterable[str], name: str) -> list[str]:
        """Return the listed files that `name` is in any of `folders` ("" is the root), in the order of `folders`."""
        found = (self.find(join(folder, name)) for folder in folders)
        return list(dict.fromkeys(path for path in found if path is not None))

    @cached_property
    def _photos_by_stem(self) -> dict[str, list[str]]:
        photos: dict[str, list[str]] = {}
        for path in filter(is_photo_name, sorted(self._paths)):
            photos.setdefault(plain(photo_stem(path)), []).append(path)
        return photos

    def find_photos(self, folders: Iterable[str], stem: str) -> list[str]:
        """Return the listed photos in any of `folders` whose name without ending is `stem`."""
        found = (self._photos_by_stem.get(plain(join(folder, stem)), []) for folder in folders)
        return list(dict.fromkeys(path for photos in found for path in photos))


def join(folder: str, name: str) -> str:
    """Return the path of `name` in `folder`, itself a normal path or empty, with `.` and `..` resolved."""
    if name and "/" not in name and name[0] != ".":  # faster, and most names are plain
        return f"{folder}/{name}" if folder else name
    return posixpath.normpath(posixpath.join(folder, name))


def plain(path: str) -> str:
    """Return a path in one Unicode form, with forward slashes."""
    return unicodedata.normalize("NFC", path).replace("\\", "/")
