"""Lists of names by split, as Pascal VOC has them in ImageSets/Main."""

import posixpath
from typing import NamedTuple

from stages.scan.cells import decode, shown
from stages.scan.path_lookup import photo_stem, plain
from stages.scan.rows import LayoutError, ReadBytes, load

_FOLDER = ("imagesets", "main")
# A name in trainval is in train or val; without those two it has no split.
_SPLITS = {"train.txt": "train", "val.txt": "val", "test.txt": "test", "trainval.txt": ""}


class ListedName(NamedTuple):
    """A name in a list: the folder around ImageSets, the name without ending, and where it stands."""

    root: str
    name: str
    file: str
    split: str


def list_files(paths: list[str]) -> dict[str, str]:
    """Return the lists of all splits and, for each, the folder around its ImageSets; train before val and test."""
    found = {}
    for path in sorted(paths):
        parts = path.split("/")
        if parts[-1] in _SPLITS and tuple(part.lower() for part in parts[-3:-1]) == _FOLDER:
            found[path] = "/".join(parts[:-3])
    return found


def read_splits(paths: list[str], read_bytes: ReadBytes) -> dict[tuple[str, str], ListedName]:
    """Return the names in the lists of splits, by the folder around ImageSets and the name without ending.

    Raises LayoutError if a name is in two of train, val and test, or in trainval and test.
    """
    names: dict[tuple[str, str], ListedName] = {}
    for file, root in list_files(paths).items():
        split = _SPLITS[posixpath.basename(file)]
        for row, line in enumerate(decode(file, load(read_bytes, file)).splitlines(), 1):
            name = line.strip()
            if not name:
                continue
            item = ListedName(root, photo_stem(name), file, split)
            other = names.setdefault((root, plain(item.name)), item)
            if _differ(split, other.split):
                raise LayoutError(
                    f"{file}: row {row}: expected each name in one of train, val and test, found {shown(name)} in "
                    f"{other.file} too; remove it from one"
                )
            if split:
                names[root, plain(item.name)] = item
    return names


def _differ(split: str, other: str) -> bool:
    return split != other and ("test" in (split, other) or "" not in (split, other))
