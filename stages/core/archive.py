"""Pictures of one kind in one file: a ZIP archive, which any file manager opens, with nothing compressed again.

DVC looks at every file of a folder for every stage that reads it, each time it is asked what changed, and stores on
the network take one large file sooner than as much in small ones.
"""

import errno
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stages.core import atomic

# What a damaged archive makes the library raise.
_BROKEN = (OSError, EOFError, RuntimeError, ValueError, struct.error, zlib.error, zipfile.BadZipFile)
_UNIX, _READABLE_FILE = 3, 0o100644 << 16


class ArchiveError(ValueError):
    """An archive, or a picture in it, is not there or is damaged; `reason` is a short code for tables."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@contextmanager
def writing(path: Path) -> Iterator[Callable[[str, bytes], None]]:
    """Yield a function that adds a picture, by name and bytes; the archive is there, whole, once the block has ended.

    The same pictures in the same order give the same bytes: no time, no user and no system is kept.
    """
    atomic.clear(path)
    with atomic.replacing(path) as unfinished, zipfile.ZipFile(unfinished, "w") as file:

        def add(name: str, content: bytes) -> None:
            member = zipfile.ZipInfo(name)
            member.create_system, member.external_attr = _UNIX, _READABLE_FILE
            file.writestr(member, content)

        yield add


class Archive:
    """The pictures that a stage wrote, by name; any number of threads may read at once.

    Raises ArchiveError when the file at `path` is not there or is no archive.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = zipfile.ZipFile(path)
        except _BROKEN as error:
            text = f"{path}: expected an archive of pictures, found: {error}; run `dvc repro`"
            raise ArchiveError("missing", text) from None

    @property
    def names(self) -> list[str]:
        """The names of all pictures, in the order in which they were added."""
        return self._file.namelist()

    def __contains__(self, name: str) -> bool:
        return name in self._file.NameToInfo

    def read(self, name: str) -> bytes:
        """The bytes of a picture.

        Raises ArchiveError with the reason `missing`, or `truncated` where the bytes are not those that were written,
        and OSError naming the archive when the disk fails.
        """
        try:
            return self._file.read(name)
        except KeyError:
            text = f"{self.path}: expected a picture {name}, found none; run `dvc repro`"
            raise ArchiveError("missing", text) from None
        except _BROKEN as error:
            # A failing disk, not a damaged archive: of bytes, only a place before the file's start makes an OSError.
            if isinstance(error, OSError) and error.errno != errno.EINVAL:
                raise OSError(error.errno, error.strerror, str(self.path)) from None
            text = f"{self.path}: {name} is damaged: {error}; delete the archive and run `dvc repro`"
            raise ArchiveError("truncated", text) from None
