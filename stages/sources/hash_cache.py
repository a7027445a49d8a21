"""SHA-256 of files, kept between runs, so that only new and changed files are read to know their version."""

import hashlib
import os
import sqlite3
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from stages.core import batches
from stages.sources.store import SourceError

# A file changed less than this before it was read could change again without a new time stamp: FAT's clock counts
# seconds by two, others are finer. Git and DVC also read such a file again.
CLOCK_NS = 2_000_000_000
_ROWS_PER_TRANSACTION = 256
# SQLite before 3.32 takes 999 values in a statement.
_NAMES_PER_QUERY = 500


def sha256(content: bytes) -> str:
    """The SHA-256 of bytes, in hex."""
    return hashlib.sha256(content).hexdigest()


class FileState(NamedTuple):
    """What changes when a file's bytes do. `ctime_ns` does even where a program sets the modification time back."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int


def state_of(info: os.stat_result) -> FileState:
    """The state of a file by its `stat`."""
    return FileState(info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino)


class HashCache:
    """Hashes by the name of a file and its state, in an SQLite file; without a path nothing is kept.

    Any number of threads may use it at once. Rows are written in transactions: a kill loses the last ones at most.
    Raises SourceError naming the file when it cannot be used.
    """

    def __init__(self, path: Path | None) -> None:
        self._path, self._lock = path, Lock()
        self._waiting: list[tuple[bytes, str, str]] = []
        if path is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._connection = sqlite3.connect(path, timeout=60, check_same_thread=False)
        except sqlite3.Error as error:
            raise self._unusable(error) from None
        weakref.finalize(self, _close, self._connection, self._waiting)
        self._run(
            lambda: self._connection.execute(
                "CREATE TABLE IF NOT EXISTS hashes (name BLOB PRIMARY KEY, state TEXT NOT NULL, sha256 TEXT NOT NULL)"
            )
        )

    def version(self, name: str, stat: Callable[[], os.stat_result], digest: Callable[[], str]) -> str:
        """ "sha256:" and the hash in hex of a file whose state and SHA-256 `stat` and `digest` give."""
        before = state_of(stat())
        known = self._get(name, before)
        if known is not None:
            return f"sha256:{known}"
        started = time.time_ns()
        found = digest()
        is_settled = max(before.mtime_ns, before.ctime_ns) + CLOCK_NS < started
        if self._path is not None and is_settled and state_of(stat()) == before:
            self._put((os.fsencode(name), repr(tuple(before)), found))
        return f"sha256:{found}"

    def known(self, states: Iterable[tuple[str, FileState]]) -> Iterator[tuple[str, str]]:
        """Yield name and version of those files, given by name and state, whose hash is known; none is read.

        Many files by one query: a query of its own for each takes several times as long.
        """
        for group in batches.batched(states if self._path is not None else (), _NAMES_PER_QUERY):
            wanted = {os.fsencode(name): (name, repr(tuple(state))) for name, state in group}
            query = f"SELECT name, state, sha256 FROM hashes WHERE name IN ({','.join('?' * len(wanted))})"
            for key, state, found in self._select(query, tuple(wanted)):
                name, expected = wanted[key]
                if state == expected:
                    yield name, f"sha256:{found}"

    def file_version(self, path: Path) -> str:
        """ "sha256:" and the hash in hex of a file of any size. Raises OSError."""

        def digest() -> str:
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()

        return self.version(str(path.absolute()), path.stat, digest)

    def _get(self, name: str, state: FileState) -> str | None:
        if self._path is None:
            return None
        query = "SELECT sha256 FROM hashes WHERE name = ? AND state = ?"
        rows = self._select(query, (os.fsencode(name), repr(tuple(state))))
        return str(rows[0][0]) if rows else None

    def _select(self, query: str, values: tuple[bytes | str, ...]) -> list[Any]:
        return self._run(lambda: self._connection.execute(query, values).fetchall())

    def _put(self, row: tuple[bytes, str, str]) -> None:
        with self._lock:
            self._waiting.append(row)
            is_full = len(self._waiting) >= _ROWS_PER_TRANSACTION
        if is_full:
            self._run(lambda: _write(self._connection, self._waiting))

    def _run(self, work: Callable[[], object]) -> list[Any]:
        try:
            with self._lock:
                result = work()
        except sqlite3.Error as error:
            raise self._unusable(error) from None
        return result if isinstance(result, list) else []

    def _unusable(self, error: sqlite3.Error) -> SourceError:
        return SourceError(
            f"{self._path}: expected hashes of earlier runs, found: {error}; make room, or delete the file"
        )


def _write(connection: sqlite3.Connection, rows: list[tuple[bytes, str, str]]) -> None:
    with connection:
        connection.executemany("INSERT OR REPLACE INTO hashes VALUES (?, ?, ?)", rows)
    rows.clear()


def _close(connection: sqlite3.Connection, rows: list[tuple[bytes, str, str]]) -> None:
    """Write what is waiting; at the end of a process a full disk costs these hashes, nothing else."""
    try:
        _write(connection, rows)
    except sqlite3.Error:
        pass
    finally:
        connection.close()
