"""Results of single photos, cached between runs: only new photos are computed, and a killed run goes on."""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from stages.core.batches import batched
from stages.core.errors import UserError
from stages.core.import_closure import import_closure

# The most recent configurations of a folder stay, so that a change can be taken back.
_MAX_CONFIGS = 3
_ROWS_PER_TRANSACTION = 64
# SQLite takes some hundred values in a query, whatever its build.
_KEYS_PER_QUERY = 500
# Modules that hold values alone, of which a cache key holds those that matter, and modules that compute no output.
_SKIPPED = ("settings.py", "catalogue.py", "errors.py", "programs.py", "cores.py", "batches.py", "compiled_networks.py")

Item = TypeVar("Item")


class ResultCacheError(UserError):
    """The file of cached results cannot be used."""


def digest_of(paths: Iterable[Path]) -> str:
    """The SHA-256, in hex, of the SHA-256 of each file's bytes, one after another."""
    total = hashlib.sha256()
    for path in paths:
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def code_digest(*modules: str) -> str:
    """The digest of the source of `modules`, such as "stages.detect.detector", and of all that they import.

    `settings.py` and `catalogue.py` do not count, nor what they import: their values belong in the cache key. Nor do
    `errors.py`, `programs.py`, `cores.py`, `batches.py` and `compiled_networks.py`, which compute no output.
    """
    return digest_of(import_closure(modules, skip=_SKIPPED))


class ResultCache:
    """Results of one configuration by key, such as outputs of a network, in an SQLite file of its own below `folder`.

    `cache_key` is everything but the photo that an output depends on: network, settings, code, machine. Another
    configuration has another file, so that its outputs are never taken for those of this one; the three most recent
    files of a folder stay. Outputs are written in transactions: after a kill each is there whole or not at all. A
    `with` block closes the file at its end. Raises ResultCacheError naming the file when it cannot be used.
    """

    def __init__(self, folder: Path, cache_key: Mapping[str, Any]) -> None:
        text = json.dumps(cache_key, sort_keys=True)
        self.path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.sqlite"
        folder.mkdir(parents=True, exist_ok=True)
        self.path.touch()
        for old in sorted(folder.glob("*.sqlite"), key=lambda path: path.stat().st_mtime_ns)[:-_MAX_CONFIGS]:
            old.unlink()
        try:
            self._connection = sqlite3.connect(self.path)
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from None
        try:
            with self._connection:
                self._connection.execute(
                    "CREATE TABLE IF NOT EXISTS outputs (key TEXT PRIMARY KEY, output BLOB NOT NULL)"
                )
        except sqlite3.DatabaseError as error:
            self._connection.close()
            raise self._unusable(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        # The connection's own `with` ends a transaction and leaves the file open.
        self._connection.close()

    def missing(self, items: Iterable[Item], key: Callable[[Item], str] = str) -> Iterator[Item]:
        """Yield those of `items`, in order, whose `key` has no output at that time."""
        for some in batched(items, _KEYS_PER_QUERY):
            keys = [key(item) for item in some]
            query = f"SELECT key FROM outputs WHERE key IN ({', '.join('?' * len(keys))})"
            known = {found for (found,) in self._fetch(query, *keys)}
            yield from (item for item, own in zip(some, keys) if own not in known)

    def put_many(self, outputs: Iterable[tuple[str, bytes]]) -> None:
        """Write (key, output) as they come. Equal keys must have equal outputs."""
        for rows in batched(outputs, _ROWS_PER_TRANSACTION):
            try:
                with self._connection:
                    self._connection.executemany("INSERT OR REPLACE INTO outputs VALUES (?, ?)", rows)
            except sqlite3.DatabaseError as error:
                raise self._unusable(error) from None

    def get_many(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield (key, output) in the order of `keys`; keys without an output are left out."""
        for key in keys:
            yield from ((key, output) for (output,) in self._fetch("SELECT output FROM outputs WHERE key = ?", key))

    def _fetch(self, query: str, *values: str) -> list[tuple[Any]]:
        try:
            # All rows at once: a cursor left half read would fail when it is deleted after the file is closed.
            return self._connection.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: sqlite3.DatabaseError) -> ResultCacheError:
        return ResultCacheError(
            f"{self.path}: expected cached results of earlier runs, found: {error}; make room, or delete the file"
        )


class Missing(Generic[Item]):
    """The items whose `key` has no output in a cache, looked up as they are needed; their number when this is made.

    `items` gives the same ones each time: a list of those that are missing could take much memory.
    """

    def __init__(self, cache: ResultCache, items: Callable[[], Iterable[Item]], key: Callable[[Item], str]) -> None:
        self._look_up = lambda: cache.missing(items(), key)
        self._count = sum(1 for _ in self)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Item]:
        return self._look_up()
