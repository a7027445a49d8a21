"""The members of a plain tar archive: where each lies in the file, read by any number of threads."""

import os
import tarfile
import weakref
from pathlib import Path
from typing import BinaryIO

from stages.sources.store import SourceError

# What follows the end mark, at most, in an archive alone: blocks of zeros, as many as a tape took at once.
_END_BYTES = 2**20


class TarMembers:
    """Reasons and sizes in bytes by the name of a file, names of folders. A hard link is its file once more.

    `name` is what messages call the archive. Raises SourceError on a name that occurs twice and on an archive that is
    cut off or damaged between files, and what `tarfile` raises on one that is damaged elsewhere.
    """

    def __init__(self, path: Path, name: str) -> None:
        self.reasons: dict[str, str] = {}
        self.folders: set[str] = set()
        self.sizes: dict[str, int] = {}
        self._offsets: dict[str, int] = {}
        self._name, self._file = name, path.open("rb")
        weakref.finalize(self, self._file.close)
        self._scan(self._file)

    def stat(self) -> os.stat_result:
        """The state of the archive."""
        return os.fstat(self._file.fileno())

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises OSError when the archive ends before them."""
        content = os.pread(self._file.fileno(), self.sizes[name], self._offsets[name])
        if len(content) < self.sizes[name]:
            raise OSError(f"expected {self.sizes[name]} bytes, found {len(content)}")
        return content

    def _scan(self, file: BinaryIO) -> None:
        n_bytes = self.stat().st_size
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                # A negative size would lead `tarfile` back and round for ever.
                if member.size < 0 or member.offset_data + (member.size if member.isreg() else 0) > n_bytes:
                    raise SourceError(f"{self._name}: cut off or damaged at {member.name!r}; get the file again")
                self._add(member)
            # `tarfile` takes a damaged header for the end.
            end = os.pread(file.fileno(), _END_BYTES, tar.offset)
        if len(end) < tarfile.BLOCKSIZE or end.strip(b"\0"):
            what = (
                "an early end" if len(end) < tarfile.BLOCKSIZE else "other bytes (damaged, or a second archive behind)"
            )
            raise SourceError(f"{self._name}: expected zeros at the end of a tar archive, found {what}")

    def _add(self, member: tarfile.TarInfo) -> None:
        name = normal(member.name)
        if member.isdir():
            self.folders.update({name} - {""})
            return
        if name in self.reasons:
            raise SourceError(twice_text(self._name, name))
        target = normal(member.linkname)
        if member.islnk() and target in self.reasons:
            self.reasons[name] = self.reasons[target]
            self.sizes[name], self._offsets[name] = self.sizes[target], self._offsets[target]
            return
        kind = "missing" if member.islnk() else "unreadable" if member.issparse() else "not_a_file"
        self.reasons[name] = "" if member.isreg() and not member.issparse() else kind
        self.sizes[name], self._offsets[name] = member.size, member.offset_data


def twice_text(archive: str, name: str) -> str:
    """The line for a name that occurs twice: programs differ in which of the two they unpack."""
    return (
        f"{archive}: expected each name once, found {name!r} twice: the first or the last could be meant; pack it again"
    )


def normal(name: str) -> str:
    """A name without the `./` that `tar -C folder .` and some programs for ZIP files write."""
    while name.startswith("./"):
        name = name[2:]
    return "" if name == "." else name
