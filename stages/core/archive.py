"""Many small files, such as images, in one uncompressed ZIP archive, which any file manager opens.

For every stage that reads a folder, DVC checks each file of it whenever it looks for changes; and one large file is
faster to store on the network than many small ones.
"""

import errno
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from stages.core import atomic
from stages.core.errors import UserError

# What `zipfile` raises on a damaged archive.
_BROKEN = (OSError, EOFError, RuntimeError, ValueError, struct.error, zlib.error, zipfile.BadZipFile)
_UNIX, _READABLE_FILE = 3, 0o100644 << 16


# TensorFlow reports a ValueError inside a dataset as InvalidArgumentError, and any other exception as an unknown error.
class ArchiveError(UserError, ValueError):
    """An archive, or a member of it, is missing or damaged; `reason` is a short code for tables."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@contextmanager
def writing(path: Path) -> Iterator[Callable[[str, bytes], None]]:
    """Yield a function that adds a member, by name and bytes; the archive appears, complete, when the block ends.

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


class Archive:
    """An archive to read from, by any number of threads at once.

    Raises ArchiveError when the file at `path` is missing or is not an archive.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = zipfile.ZipFile(path)
        except _BROKEN as error:
            text = f"{path}: expected a ZIP archive, found: {error}; run `dvc repro`"
            raise ArchiveError("missing", text) from None

    @property
    def names(self) -> list[str]:
        """The names of all members, in the order in which they were added."""
        return self._file.namelist()

    def __contains__(self, name: str) -> bool:
        return name in self._file.NameToInfo

    def read(self, name: str) -> bytes:
        """The bytes of a member.

        Raises ArchiveError with the reason `missing`, or `truncated` where the bytes are not those that were written,
        and OSError naming the archive when the disk fails.
        """
        try:
            return self._file.read(name)
        except KeyError:
            text = f"{self.path}: expected a file {name} in the archive, found none; run `dvc repro`"
            raise ArchiveError("missing", text) from None
        except _BROKEN as error:
            # EINVAL comes from a damaged archive (an offset before the file's start), other OSErrors from the disk.
            if isinstance(error, OSError) and error.errno != errno.EINVAL:
                raise OSError(error.errno, error.strerror, str(self.path)) from None
            text = f"{self.path}: {name} is damaged: {error}; delete the archive and run `dvc repro`"
            raise ArchiveError("truncated", text) from None
