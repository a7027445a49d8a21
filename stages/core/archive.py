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
# The header before a member's bytes: signature, flags, checksum, size, lengths of name and extra field. Left out are
# version, method, time and the compressed size, which is the same.
_HEADER = struct.Struct("<4s2xH6xI4xI2H")
# The flag of a member whose checksum and size follow its bytes.
_STREAMED = 0x8
# A member's place: the number of its ZIP file, then as many bits of the offset of its header.
_OFFSET_BITS = 40


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
    """Of one ZIP file: the `names` of its members in order, the `offsets` of their headers, and a fingerprint.

    The fingerprint is a SHA-256 of names, sizes and checksums.
    """

    names: list[str]
    offsets: np.ndarray
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
        offsets = np.array([info.header_offset for info in found], np.uint64)
        if (offsets >> np.uint64(_OFFSET_BITS)).any():
            raise ValueError("a member beyond its end")
        return Directory([info.filename for info in found], offsets, fingerprint)
    except _BROKEN as error:
        raise ArchiveError("missing", f"{path}: expected a ZIP archive, found: {error}; run `dvc repro`") from None


class Archive:
    """A ZIP file, or a folder of them (its shards, see `shard_writer`), to read from by any number of threads at once.

    Keeps 16 bytes for each member and no open file. Raises ArchiveError when there is nothing at `path`, or another
    file than a ZIP file with members that are not compressed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._files = shard_files(path) if path.is_dir() else [path]
        self.fingerprints: dict[str, str] = {}
        hashes, places = [np.empty(0, np.uint64)], [np.empty(0, np.uint64)]
        for number, file in enumerate(self._files):
            names, offsets, self.fingerprints[file.stem] = read_directory(file)
            # Of one file after another: names as Python values take more than all the rest.
            hashes.append(np.fromiter(map(_hash, names), np.uint64, len(names)))
            places.append(np.uint64(number << _OFFSET_BITS) | offsets)
        self._hashes, self._places = np.concatenate(hashes), np.concatenate(places)
        order = np.argsort(self._hashes, kind="stable")
        self._hashes, self._places = self._hashes[order], self._places[order]

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
        place = self._find(name)
        if place is None:
            text = f"{self.path}: expected a file {name} in the archive, found none; run `dvc repro`"
            raise ArchiveError("missing", text)
        try:
            return _read(self._files[place >> _OFFSET_BITS], name, place & ((1 << _OFFSET_BITS) - 1))
        except _BROKEN as error:
            # EINVAL comes from a damaged archive (an offset before the file's start), other OSErrors from the disk.
            if isinstance(error, OSError) and error.errno not in (errno.EINVAL, errno.ENOENT):
                raise OSError(error.errno, error.strerror, str(self.path)) from None
            text = f"{self.path}: {name} is damaged: {error}; delete the archive and run `dvc repro`"
            raise ArchiveError("truncated", text) from None

    def _find(self, name: str) -> int | None:
        value = np.uint64(_hash(name))
        row = int(np.searchsorted(self._hashes, value))
        return int(self._places[row]) if row < len(self._hashes) and self._hashes[row] == value else None


def shard_files(folder: Path) -> list[Path]:
    """The ZIP files of a folder by name, without those that a killed run left half written."""
    return sorted(folder.glob("[!.]*.zip"))


def _hash(name: str) -> int:
    """64 bits of a name's hash: of ten million names two are equal with a probability of 3 in a million."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


def _read(path: Path, name: str, offset: int) -> bytes:
    """The bytes of a member that is not compressed. Raises ValueError when they are not those that were written."""
    with path.open("rb") as file:
        file.seek(offset)
        signature, flags, crc, size, name_length, extra_length = _HEADER.unpack(file.read(_HEADER.size))
        found = file.read(name_length)
        if signature != b"PK\x03\x04" or found != name.encode():
            raise ValueError(f"expected its header, found {found[:40]!r}")
        if flags & _STREAMED:
            raise ValueError("its size and checksum are not in its header")
        file.seek(extra_length, 1)
        content = file.read(size)
    if len(content) != size or zlib.crc32(content) != crc:
        raise ValueError("wrong checksum")
    return content
