"""Many small files, such as images, in uncompressed ZIP files, which any file manager opens.

For every stage that reads a folder, DVC checks each file of it whenever it looks for changes; and a few large files are
faster to store on the network than many small ones.
"""

import errno
import hashlib
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np

from stages.core import atomic
from stages.core.errors import UserError

# What `zipfile` raises on a damaged archive.
_BROKEN = (OSError, EOFError, RuntimeError, ValueError, OverflowError, struct.error, zlib.error, zipfile.BadZipFile)
_UNIX, _READABLE_FILE = 3, 0o100644 << 16
# The header before a member's bytes: signature, 22 bytes that the directory has as well, lengths of name and extra.
_HEADER = struct.Struct("<4s22x2H")
# Of one member: its name's hash, the number of its ZIP file, the place of its header, its size in bytes, its checksum.
_MEMBER = np.dtype([("name", "u8"), ("file", "u4"), ("offset", "u8"), ("size", "u8"), ("crc", "u4")])


# TensorFlow reports a ValueError inside a dataset as InvalidArgumentError, and any other exception as an unknown error.
class ArchiveError(UserError, ValueError):
    """An archive, or a member of it, is missing or damaged; `reason` is a short code for tables."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@contextmanager
def writing(path: Path) -> Iterator[Callable[[str, bytes], None]]:
    """Yield a function that adds a member, by name and bytes; the ZIP file appears, complete, when the block ends.

    The same members in the same order give the same bytes: no time, user or system is stored.
    """
    atomic.clear(path)
    with atomic.replacing(path) as unfinished, zipfile.ZipFile(unfinished, "w") as file:

        def add(name: str, content: bytes) -> None:
            member = zipfile.ZipInfo(name)
            member.create_system, member.external_attr = _UNIX, _READABLE_FILE
            file.writestr(member, content)

        yield add


class ReadsArchive(Protocol):
    """What the members of an archive are read from, by name."""

    path: Path

    def read(self, name: str) -> bytes:
        """The bytes of a member. Raises ArchiveError."""


class Directory(NamedTuple):
    """The `names` of the members of one ZIP file in order, where they lie, and a SHA-256 of names, sizes, checksums."""

    names: list[str]
    members: np.ndarray
    fingerprint: str


def read_directory(path: Path) -> Directory:
    """The directory of the ZIP file at `path`. Raises ArchiveError when it is missing or is no ZIP file."""
    try:
        with zipfile.ZipFile(path) as file, path.open("rb") as content:
            found = file.infolist()
            content.seek(file.start_dir)
            fingerprint = hashlib.sha256(content.read()).hexdigest()
        if any(info.compress_type != zipfile.ZIP_STORED for info in found):
            raise ValueError("compressed members")
        rows = [(_hash(info.filename), 0, info.header_offset, info.file_size, info.CRC) for info in found]
        return Directory([info.filename for info in found], np.array(rows, dtype=_MEMBER), fingerprint)
    except _BROKEN as error:
        raise ArchiveError("missing", f"{path}: expected a ZIP archive, found: {error}; run `dvc repro`") from None


class Archive:
    """A ZIP file, or a folder of them (its shards, see `shard_writer`), to read from by any number of threads at once.

    Keeps 32 bytes for each member and no open file. Raises ArchiveError when there is nothing at `path`, or another
    file than a ZIP file with members that are not compressed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = shard_files(path) if path.is_dir() else [path]
        # Names as Python values would take more than all the rest.
        directories = [read_directory(file)._replace(names=[]) for file in self._files]
        for number, directory in enumerate(directories):
            directory.members["file"] = number
        members = np.concatenate([np.empty(0, _MEMBER), *(directory.members for directory in directories)])
        self._members = members[np.argsort(members["name"], kind="stable")]
        # A contiguous copy: `searchsorted` would make one at each call.
        self._hashes = self._members["name"].copy()
        self.fingerprints = {file.stem: found.fingerprint for file, found in zip(self._files, directories)}

    @property
    def names(self) -> list[str]:
        """The names of all members, in the order in which they were added."""
        return [name for file in self._files for name in read_directory(file).names]

    def __contains__(self, name: str) -> bool:
        return self._find(name) is not None

    def read(self, name: str) -> bytes:
        """The bytes of a member.

        Raises ArchiveError with the reason `missing`, or `truncated` where the bytes are not those that were written,
        and OSError naming the archive when the disk fails.
        """
        member = self._find(name)
        if member is None:
            text = f"{self.path}: expected a file {name} in the archive, found none; run `dvc repro`"
            raise ArchiveError("missing", text)
        try:
            return _read(self._files[member["file"]], name, member)
        except _BROKEN as error:
            # EINVAL comes from a damaged archive (an offset before the file's start), other OSErrors from the disk.
            if isinstance(error, OSError) and error.errno not in (errno.EINVAL, errno.ENOENT):
                raise OSError(error.errno, error.strerror, str(self.path)) from None
            text = f"{self.path}: {name} is damaged: {error}; delete the archive and run `dvc repro`"
            raise ArchiveError("truncated", text) from None

    def _find(self, name: str) -> np.void | None:
        value = np.uint64(_hash(name))
        place = int(np.searchsorted(self._hashes, value))
        if place == len(self._hashes) or self._hashes[place] != value:
            return None
        return self._members[place]


def shard_files(folder: Path) -> list[Path]:
    """The ZIP files of a folder by name, without those that a killed run left half written."""
    return sorted(folder.glob("[!.]*.zip"))


def _hash(name: str) -> int:
    """64 bits of a name's hash: of ten million names two are equal with a probability of 3 in a million."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


def _read(path: Path, name: str, member: np.void) -> bytes:
    """The bytes of a member that is not compressed. Raises ValueError when they are not those that were written."""
    with path.open("rb") as file:
        file.seek(int(member["offset"]))
        signature, name_length, extra_length = _HEADER.unpack(file.read(_HEADER.size))
        found = file.read(name_length)
        if signature != b"PK\x03\x04" or found != name.encode():
            raise ValueError(f"expected its header, found {found[:40]!r}")
        file.seek(extra_length, 1)
        content = file.read(int(member["size"]))
    if len(content) != member["size"] or zlib.crc32(content) != member["crc"]:
        raise ValueError("wrong checksum")
    return content
