"""What a network said of each photo, kept between runs, so that nothing is asked twice: not for the photos that were
there before some were added, and not after a run that was killed.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

# Of every folder the questions asked last are kept, so that a change can be taken back.
_MAX_CONFIGS = 3
_AT_ONCE = 64


class InferenceCacheError(RuntimeError):
    """The file with the answers cannot be used."""


def digest_of(paths: Iterable[Path]) -> str:
    """The SHA-256, in hex, of the SHA-256 of each file's bytes, one after another."""
    whole = hashlib.sha256()
    for path in paths:
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


class InferenceCache:
    """The answers to one question in a file of their own below `folder`, by key.

    The question is everything but the photo that an answer depends on: network, settings, code, machine. Another
    question has another file, so that no answer is ever taken for one to another question; of a folder's questions the
    three asked last stay. Answers are written many at a time in transactions: after a kill each is there whole or not
    at all.
    """

    def __init__(self, folder: Path, question: Mapping[str, Any]) -> None:
        text = json.dumps(question, sort_keys=True)
        self.path = folder / f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.sqlite"
        folder.mkdir(parents=True, exist_ok=True)
        self.path.touch()
        for old in sorted(folder.glob("*.sqlite"), key=lambda path: path.stat().st_mtime_ns)[:-_MAX_CONFIGS]:
            old.unlink()
        try:
            self._store = sqlite3.connect(self.path)
            with self._store:
                self._store.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer BLOB NOT NULL)")
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from None

    def missing(self, keys: Iterable[str]) -> set[str]:
        """Those of `keys` to which there is no answer yet."""
        return set(keys) - {key for (key,) in self._ask("SELECT key FROM answers")}

    def keep(self, answers: Iterable[tuple[str, bytes]]) -> None:
        """Keep answers as they come. Equal keys must have equal answers."""
        remaining = iter(answers)
        while some := list(islice(remaining, _AT_ONCE)):
            try:
                with self._store:
                    self._store.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", some)
            except sqlite3.DatabaseError as error:
                raise self._unusable(error) from None

    def all_of(self, keys: Iterable[str]) -> Iterator[tuple[str, bytes]]:
        """Yield key and answer, in the order of `keys`; keys without an answer are passed over."""
        for key in keys:
            yield from ((key, answer) for (answer,) in self._ask("SELECT answer FROM answers WHERE key = ?", key))

    def _ask(self, query: str, *values: str) -> Iterator[tuple[Any]]:
        try:
            yield from self._store.execute(query, values)
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: sqlite3.DatabaseError) -> InferenceCacheError:
        return InferenceCacheError(
            f"{self.path}: expected answers kept from earlier runs, found: {error}; make room, or delete the file"
        )
