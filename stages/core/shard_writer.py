"""Archives in shards: ZIP files of some thousand members each, of which those stay whose content would be the same.

A stage that runs again after photos were added or a setting was changed makes only what changed, and DVC's cache grows
by the changed shards alone. A stage that was killed goes on after its last complete shard.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stages.core import archive, atomic
from stages.core.archive import Archive, ArchiveError


class Made(NamedTuple):
    """A member: its `name`, its `content`, empty where it cannot be made, and a `row` of JSON values about it."""

    name: str
    content: bytes
    row: Any


class Shard(NamedTuple):
    """The `items` (N,) that one shard is made of, such as row numbers, and the `digest` of all that it depends on."""

    items: np.ndarray
    key: str


def of_archives(
    by_shard: Mapping[str, np.ndarray],
    sources: Mapping[str, Archive],
    describe: Callable[[np.ndarray], Any],
) -> dict[str, Shard]:
    """Shards whose items are made from those of the same name in `sources`; `describe` gives the other inputs.

    Raises ArchiveError where a source is one ZIP file: it has no such shards, and a change of it would go unnoticed.
    """
    for source in sources.values():
        if source.path.is_file():
            text = "expected a folder of shards, found one ZIP file; delete it and run `dvc repro`"
            raise ArchiveError("not_a_folder", f"{source.path}: {text}")
    return {
        name: Shard(items, digest([describe(items), {key: own.fingerprints.get(name) for key, own in sources.items()}]))
        for name, items in by_shard.items()
    }


def digest(value: Any) -> str:
    """The SHA-256, in hex, of JSON values. NaN equals NaN."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


class ShardFolder(NamedTuple):
    """An archive: the folder `path` of shards, and the folder `memory`, which keeps the inputs and rows of each."""

    path: Path
    memory: Path

    def update(self, shards: Mapping[str, Shard], make: Callable[[np.ndarray], Iterable[Made]]) -> Iterator[Any]:
        """Write `shards`, by name, and remove other files; yield the rows of all items, in order. Take all of them.

        `make` gets the items of all shards that are not there with these inputs, and yields what is made of each, in
        order. A shard in which a member could not be made is not remembered: the next run tries it again.
        """
        to_write = {name for name in shards if _recall(*self._files(name), shards[name].key) is None}
        made = iter(make(concatenated(shards[name].items for name in shards if name in to_write)))
        for name, shard in shards.items():
            known = None if name in to_write else _recall(*self._files(name), shard.key)
            yield from _write(*self._files(name), shard, made) if known is None else known
        self.path.mkdir(parents=True, exist_ok=True)
        expected = {file for name in shards for file in self._files(name)}
        for file in {*self.path.iterdir(), *self.memory.glob("*.json")} - expected:
            file.unlink()

    def _files(self, name: str) -> tuple[Path, Path]:
        return self.path / f"{name}.zip", self.memory / f"{name}.json"


def _recall(path: Path, memory: Path, key: str) -> list[Any] | None:
    """The rows of the shard at `path`, if it was made from inputs of this key and is unchanged."""
    try:
        known = json.loads(memory.read_text(encoding="utf-8"))
        is_current = known["key"] == key and known["fingerprint"] == archive.read_directory(path).fingerprint
        return list(known["rows"]) if is_current else None
    except (OSError, ValueError, KeyError, TypeError, ArchiveError):
        return None


def concatenated(parts: Iterable[np.ndarray]) -> np.ndarray:
    """The items of shards, one after another; an empty array of no shard."""
    return np.concatenate([np.empty(0, np.intp), *parts])


def _write(path: Path, memory: Path, shard: Shard, made: Iterable[Made]) -> list[Any]:
    memory.unlink(missing_ok=True)
    rows, is_complete = [], True
    with archive.writing(path) as add:
        for member in islice(made, len(shard.items)):
            if member.content:
                add(member.name, member.content)
            is_complete &= bool(member.content)
            rows.append(member.row)
    text = json.dumps({"key": shard.key, "fingerprint": archive.read_directory(path).fingerprint, "rows": rows})
    if is_complete:
        atomic.write_text(memory, text)
    # As the next run reads them.
    return list(json.loads(text)["rows"])
