"""Photos in a local folder."""

import errno
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from stages.images import images
from stages.images.images import ImageError
from stages.sources.hash_cache import FileState, HashCache, sha256, state_of
from stages.sources.store import ListedFile, SourceError, is_hidden, listing, photo_id, require_usable, screen

# Device and inode: what a folder is known by, through whatever link it is reached.
_Identity = tuple[int, int]


class _Folder(NamedTuple):
    """A folder to be read: its path below the root, with a slash at the end, and the folders that hold it."""

    path: str
    holders: frozenset[_Identity]


class Contents(NamedTuple):
    """A `digest` of the names and states of all files, and when the last of them changed, in ns since 1970."""

    digest: str
    changed_ns: int


class FolderStore:
    """The files below a local folder; links to files and folders are followed. Implements `store.Store`."""

    def __init__(self, folder: Path, hash_cache: Path | None = None) -> None:
        self.root = str(folder)
        self._folder, self._hashes = folder, HashCache(hash_cache)

    def list_files(self) -> list[ListedFile]:
        """As `Store.list_files`."""
        folders: list[str] = []

        def files() -> Iterator[tuple[str, str]]:
            for path, reason, _ in self._walk():
                if path.endswith("/") and not reason:
                    folders.append(path[:-1])
                else:
                    yield path, reason

        return listing(files(), folders)

    def contents(self) -> Contents:
        """What every visible file is known by without reading it. Raises SourceError as `list_files` does."""
        lines, changed_ns = [], 0
        for path, reason, info in self._walk():
            state = tuple(state_of(info)) if info else ()
            lines.append(f"{path}\0{reason}\0{state}\0")
            changed_ns = max(changed_ns, *state[1:3], 0)
        digest = hashlib.sha256()
        for line in sorted(lines):
            digest.update(os.fsencode(line))
        return Contents(digest.hexdigest(), changed_ns)

    def _walk(self) -> Iterator[tuple[str, str, os.stat_result | None]]:
        """Yield path, reason and, of usable files, `stat` of all that is visible; paths of folders end with a slash."""
        waiting = [_Folder("", _identities(self._folder))]
        while waiting:
            folder = waiting.pop()
            try:
                names = [name for name in _names(self._folder / folder.path) if not is_hidden(name)]
            except OSError as error:
                if not folder.path:
                    raise SourceError(f"{self.root}: expected a folder that can be read: {error.strerror}") from None
                yield folder.path, "unreadable", None
                continue
            if folder.path:
                yield folder.path, "", None
            for name in names:
                path = folder.path + name
                reason, info = _inspect(f"{self._folder}/{path}", folder.holders)
                if info is not None and stat.S_ISDIR(info.st_mode):
                    waiting.append(_Folder(f"{path}/", folder.holders | {(info.st_dev, info.st_ino)}))
                else:
                    yield path, reason, info

    def version(self, path: str) -> str:
        """As `Store.version`; a file that the cache knows, unchanged by its `stat`, is not read."""
        require_usable(self.root, path)
        full = self._folder / path
        try:
            return self._hashes.version(str(full.absolute()), full.stat, lambda: sha256(images.load(full)))
        except OSError:
            # `load` has the reason; where it can read the file now, another program has just put it back.
            images.load(full)
            raise ImageError("unreadable", f"{full}: changed while it was read") from None

    def known_versions(self, paths: Iterable[str]) -> dict[str, str]:
        """As `Store.known_versions`: of the files that are unchanged by their `stat`."""
        prefix = str(self._folder.absolute() / "_")[:-1]
        usable = (prefix + path for path in paths if not path.endswith("/") and not screen(path))
        return {name[len(prefix) :]: version for name, version in self._hashes.known(_states(usable))}

    def load(self, path: str, expected_id: str | None = None) -> bytes:
        """As `Store.load`."""
        require_usable(self.root, path)
        return images.load(self._folder / path, None if expected_id is None else photo_id(expected_id))


def _identities(folder: Path) -> frozenset[_Identity]:
    """Those of a folder and of all that hold it: a link to one of these would lead back here."""
    infos = [holder.stat() for holder in (folder.resolve(), *folder.resolve().parents)]
    return frozenset((info.st_dev, info.st_ino) for info in infos)


def _names(folder: Path) -> Iterator[str]:
    with os.scandir(folder) as entries:
        # An entry takes several times the memory of its name.
        yield from (entry.name for entry in entries)


def _states(names: Iterable[str]) -> Iterator[tuple[str, FileState]]:
    """Yield name and state of the files that have one."""
    for name in names:
        try:
            info = os.stat(name)  # noqa: PTH116 - a Path for each file takes as long as the call itself
        except OSError:
            continue
        yield name, state_of(info)


def _inspect(path: str, holders: frozenset[_Identity]) -> tuple[str, os.stat_result | None]:
    """The reason why what is at `path` cannot be read, if any, else the `stat` of a file, or of a folder to go into."""
    try:
        info = os.stat(path)  # noqa: PTH116 - a Path for each file takes as long as the call itself
    except FileNotFoundError:
        return "missing", None
    except OSError as error:
        return ("link_loop" if error.errno == errno.ELOOP else "unreadable"), None
    if stat.S_ISDIR(info.st_mode):
        return ("link_loop", None) if (info.st_dev, info.st_ino) in holders else ("", info)
    if not stat.S_ISREG(info.st_mode):
        return "not_a_file", None
    return ("", info) if os.access(path, os.R_OK) else ("unreadable", None)
