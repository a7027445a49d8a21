"""Which shard each photo lies in: photos keep theirs, added ones fill the last shard and then new ones."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from stages.core.errors import TableError
from stages.schemas import manifest, shards
from stages.schemas.shards import Assignment

# Photos of a shard: a hundredth of 100,000, the size from which on an archive in one piece costs more than it is worth.
SIZE = 1000


def assign(image_ids: Sequence[str], before: Assignment | None, known: set[str]) -> Assignment:
    """The shards of usable photos, given as sorted ids, from those `before` and the ids that were `known` then.

    Without known ids all photos that are not listed count as known: then a run from nothing agrees with those before.
    Everything is distributed anew where that would leave bad shards: one twice as large as `SIZE`, twice as many as
    needed, or more photos that were added than first ones.
    """
    if before is None or (known and 2 * len(known.intersection(image_ids)) < len(image_ids)):
        return distribute(image_ids)
    later = {name: before.later[name] for name in image_ids if name in before.later}
    new = [name for name in image_ids if name not in later and known and name not in known]
    added = set(new)
    sizes = Counter(before.number(name) for name in image_ids if name not in added)
    last = max([*sizes, len(before.starts) - 1])
    for name in new:
        last += sizes[last] >= SIZE
        sizes[last] += 1
        if before.by_start(name) != last:
            later[name] = last
    is_unequal = max(sizes.values(), default=0) > 2 * SIZE or len(sizes) > 2 * _needed(image_ids)
    if is_unequal or 2 * len(later) > len(image_ids):
        return distribute(image_ids)
    return Assignment(before.starts, later)


def distribute(image_ids: Sequence[str]) -> Assignment:
    """Equal shards of at most `SIZE` photos, in the order of the ids, which are sorted."""
    count = _needed(image_ids)
    starts = [image_ids[number * len(image_ids) // count] for number in range(1, count)]
    return Assignment(["", *starts], {})


def write_shards(path: Path, manifest_path: Path, rows: pd.DataFrame) -> None:
    """Write data/shards.json for the usable `rows` of the new manifest, from the file and the manifest of the last run.

    Raises ShardsError where the file cannot be read.
    """
    before = shards.read(path) if path.is_file() else None
    try:
        known = _usable(manifest.read(manifest_path, ("image_id", "status", "split")))
    except TableError:  # There is none, or one of another version of the project.
        known = []
    shards.write(path, assign(_usable(rows), before, set(known)))


def _usable(rows: pd.DataFrame) -> list[str]:
    return sorted(rows.loc[rows["status"] == "ok", "image_id"])


def _needed(image_ids: Sequence[str]) -> int:
    return max(-(-len(image_ids) // SIZE), 1)
