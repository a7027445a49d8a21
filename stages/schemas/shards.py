"""data/shards.json: the shard of each photo, by image id, in every archive of images.

A photo keeps the shard that it was given first, so that added photos change few shards. The file belongs into Git: a
run from nothing then writes the same shards as the runs that added photos one after another.
"""

import json
from bisect import bisect_right
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages.core import atomic
from stages.core.errors import UserError


class ShardsError(UserError):
    """data/shards.json cannot be used."""


class Assignment(NamedTuple):
    """`starts` are the smallest image ids of the first shards, sorted; photos added `later` have theirs listed."""

    starts: list[str]
    later: dict[str, int]

    def number(self, image_id: str) -> int:
        """The number of a photo's shard."""
        return self.later[image_id] if image_id in self.later else self.by_start(image_id)

    def by_start(self, image_id: str) -> int:
        """The number of the shard of a photo that is not listed."""
        return max(bisect_right(self.starts, image_id) - 1, 0)

    def split(self, image_ids: Iterable[str]) -> dict[str, np.ndarray]:
        """The places (N,) of photos among `image_ids`, by the name of their shard; names are sorted, and the places."""
        shards = np.fromiter(map(self.number, image_ids), np.int64)
        order = np.argsort(shards, kind="stable")
        numbers, starts = np.unique(shards[order], return_index=True)
        return {f"{number:05}": places for number, places in zip(numbers.tolist(), np.split(order, starts[1:]))}


ONE_SHARD = Assignment([""], {})


def write(path: Path, assignment: Assignment) -> None:
    """Write the assignment; a photo that was added later takes one line."""
    atomic.write_json(path, assignment._asdict())


def read(path: Path) -> Assignment:
    """Read the assignment. Raises ShardsError naming the file when it is missing or has another form."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        starts, later = content["starts"], content["later"]
        is_valid = starts == sorted(map(str, starts)) and all(type(number) is int for number in later.values())
        if starts and is_valid and all(number >= 0 for number in later.values()):
            return Assignment(starts, dict(later))
        found = "another content"
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        found = str(error) or type(error).__name__
    raise ShardsError(
        f"{path}: expected the shards of photos (`starts`, `later`), found {found}; take the file from Git, or delete "
        "it: all archives are then written anew; run `dvc repro`"
    )
