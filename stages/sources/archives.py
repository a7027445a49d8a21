"""Photos in a zip or tar archive, read where it lies.

Paths are those in the archive, a single top folder included, as they would be after unpacking: a source may name a
folder inside, "cars.zip/cars". To drop the top folder silently could drop the only label.
"""

import bz2
import gzip
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from stages.core import atomic, progress
from stages.images.images import MAX_BYTES, ImageError
from stages.sources.hash_cache import HashCache, sha256, state_of
from stages.sources.store import ListedFile, SourceError, listing, require_id, require_usable
from stages.sources.tar_members import TarMembers, normal, twice_text

# Unpacked and downloaded archives, by hash or ETag; the most recent ones stay.
CACHE = Path("logs/archives")
_KEPT = 4
# A compressed tar of more bytes is not unpacked: a small file can claim to fill any disk.
MAX_UNPACKED_BYTES = 100 * 2**30
_CHUNK_BYTES = 2**20
# What the libraries raise on damaged archives.
BROKEN = (
    *(OSError, EOFError, RuntimeError, ValueError, OverflowError, struct.error, zlib.error, lzma.LZMAError),
    *(zipfile.BadZipFile, tarfile.TarError),
)
# By the first bytes of a file: what unpacks it.
_UNPACK: dict[bytes, Callable[..., Any]] = {
    b"\x1f\x8b": gzip.open,
    b"BZh": bz2.open,
    b"\xfd7zXZ\0": lzma.open,
}
_DETAILS = {
    "not_a_file": "a link or a device",
    "unreadable": "encrypted, sparse, or compressed by another method than deflate",
    "missing": "a link to a file that is not in the archive",
}


class Members(NamedTuple):
    """What an archive holds: reasons by the name of a file, names of folders, and how to read a file by name.

    `sizes` are in bytes, unpacked; `stat` is that of the archive.
    """

    reasons: dict[str, str]
    folders: set[str]
    sizes: dict[str, int]
    read: Callable[[str], bytes]
    stat: Callable[[], os.stat_result]


class ArchiveStore:
    """The files of an archive, or of a folder `inner` of it. Implements `store.Store`.

    The version is the SHA-256 of a file's bytes, as in a folder; hashes are kept as long as the archive's own state.
    """

    def __init__(self, name: str, members: Members, inner: str, hash_cache: Path | None) -> None:
        self._members, self._hashes = members, HashCache(hash_cache)
        self._prefix = _prefix(name, members, inner)
        self.root = f"{name}/{self._prefix}".rstrip("/")

    def list_files(self) -> list[ListedFile]:
        """As `Store.list_files`."""
        start = len(self._prefix)
        reasons = ((path[start:], why) for path, why in self._members.reasons.items() if path.startswith(self._prefix))
        folders = {path[start:] for path in self._members.folders if path.startswith(self._prefix)}
        return listing(reasons, folders - {""})

    def version(self, path: str) -> str:
        """As `Store.version`."""
        name = f"{Path(self.root).absolute()}/{path}"
        return self._hashes.version(name, self._members.stat, lambda: sha256(self.load(path)))

    def known_versions(self, paths: Iterable[str]) -> dict[str, str]:
        """As `Store.known_versions`: of the members of an archive that is unchanged by its `stat`."""
        prefix, state = f"{Path(self.root).absolute()}/", state_of(self._members.stat())
        known = self._hashes.known((prefix + path, state) for path in paths)
        return {name[len(prefix) :]: version for name, version in known}

    def load(self, path: str, expected_id: str | None = None) -> bytes:
        """As `Store.load`."""
        require_usable(self.root, path)
        name, member = f"{self.root}/{path}", self._prefix + path
        if member not in self._members.reasons:
            if any(other.startswith(f"{member}/") for other in (*self._members.reasons, *self._members.folders)):
                raise ImageError("not_a_file", f"{name}: a folder")
            raise ImageError("missing", f"{name}: no such file in the archive")
        if reason := self._members.reasons[member]:
            raise ImageError(reason, f"{name}: {_DETAILS[reason]}")
        if self._members.sizes[member] > MAX_BYTES:
            raise ImageError("too_large", f"{name}: {self._members.sizes[member]} bytes, at most {MAX_BYTES}")
        try:
            content = self._members.read(member)
        except BROKEN as error:
            raise ImageError("unreadable", f"{name}: damaged: {error}") from None
        require_id(name, content, expected_id)
        return content


def _prefix(name: str, members: Members, inner: str) -> str:
    """`inner` with a slash; the folder of a file; nothing for the whole archive."""
    if inner in members.reasons:
        inner = inner.rpartition("/")[0]
    prefix = f"{inner}/" if inner else ""
    names = [*members.reasons, *(f"{folder}/" for folder in members.folders)]
    if not any(member.startswith(prefix) for member in names):
        top = sorted({member.partition("/")[0] for member in names})
        found = f"{', '.join(top[:5])}{', ...' if len(top) > 5 else ''}" if top else "nothing"
        raise SourceError(f"{name}: expected {inner or 'photos'} in the archive, found {found}")
    return prefix


def open_archive(path: Path, inner: str, hash_cache: Path | None, name: str | None = None) -> ArchiveStore:
    """The store of the archive at `path`, or of its folder `inner`; `name` is what messages call it.

    A compressed tar is unpacked once, below CACHE. Raises SourceError.
    """
    name = name or str(path)
    try:
        if path.suffix.lower() == ".zip":
            return ArchiveStore(name, _zip_members(path, name), inner, hash_cache)
        with path.open("rb") as file:
            magic = file.read(6)
        unpack = next((unpack for start, unpack in _UNPACK.items() if magic.startswith(start)), None)
        tar = TarMembers(_unpacked(path, name, unpack, hash_cache) if unpack else path, name)
    except SourceError:
        raise
    except BROKEN as error:
        text = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or "an early end"
        raise SourceError(f"{name}: expected a zip or tar archive, found: {text}; get the file again") from None
    members = Members(tar.reasons, tar.folders, tar.sizes, tar.read, tar.stat)
    return ArchiveStore(name, members, inner, hash_cache)


def _zip_members(path: Path, name: str) -> Members:
    file = zipfile.ZipFile(path)
    reasons: dict[str, str] = {}
    infos: dict[str, zipfile.ZipInfo] = {}
    folders: set[str] = set()
    for info in file.infolist():
        member = _zip_name(info)
        if info.is_dir():
            folders.update({member.rstrip("/")} - {""})
        elif member in infos:
            raise SourceError(twice_text(name, member))
        else:
            infos[member], reasons[member] = info, _zip_reason(info)
    if infos and all(info.flag_bits & 1 for info in infos.values()):
        raise SourceError(f"{name}: expected an archive without a password; unpack it")

    def read(member: str) -> bytes:
        # Not more than the size that was checked: what the file unpacks to could be a thousand times as much.
        with file.open(infos[member]) as stream:
            return stream.read(infos[member].file_size)

    sizes = {member: info.file_size for member, info in infos.items()}
    return Members(reasons, folders, sizes, read, lambda: os.fstat(file.fp.fileno()))  # type: ignore[union-attr]


def _zip_name(info: zipfile.ZipInfo) -> str:
    """A member's name. Old programs on macOS do not mark theirs as UTF-8; those on Windows write backslashes."""
    name = info.filename
    if not info.flag_bits & 0x800:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return normal(name.replace("\\", "/") if info.create_system == 0 else name)


def _zip_reason(info: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "not_a_file"
    is_readable = info.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) and not info.flag_bits & 1
    return "" if is_readable else "unreadable"


def _unpacked(path: Path, name: str, unpack: Callable[..., Any], hash_cache: Path | None) -> Path:
    """The plain tar of a compressed one, in a file named by the hash of the compressed one."""
    version = HashCache(hash_cache).file_version(path)
    target = CACHE / f"{version.removeprefix('sha256:')}.tar"
    if target.exists():
        return target
    with caching(target) as unfinished, path.open("rb") as file, unfinished.open("wb") as output:
        bar = progress.reading(file, path.stat().st_size, f"unpack {name}")
        written = 0
        with bar as packed, unpack(packed) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                written += len(chunk)
                if written > MAX_UNPACKED_BYTES:
                    raise SourceError(
                        f"{name}: expected at most {MAX_UNPACKED_BYTES} bytes unpacked; unpack it yourself"
                    )
                output.write(chunk)
    return target


@contextmanager
def caching(target: Path) -> Iterator[Path]:
    """Yield a temporary path for a file below CACHE; at the end it takes its place, and the oldest files go."""
    atomic.clear(target)
    with atomic.replacing(target) as unfinished:
        yield unfinished
    files = [path for path in target.parent.iterdir() if not path.name.startswith(".")]
    for old in sorted(files, key=lambda path: path.stat().st_mtime_ns)[:-_KEPT]:
        old.unlink()
