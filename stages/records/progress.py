"""What a stage tells the person who waits for it: a bar while it works, one line of counts at its end."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

Item = TypeVar("Item")


def track(iterable: Iterable[Item], total: int, unit: str, desc: str) -> Iterator[Item]:
    """Yield the items of `iterable` behind a progress bar on standard error that shows a rate in `unit`/s."""
    return iter(tqdm(iterable, total=total, unit=unit, desc=desc, file=sys.stderr, mininterval=0.5))


def summary(verb: str, **counts: object) -> None:
    """Print the one closing line of a stage, such as `ingest: 612 photos, 8 unreadable`."""
    print(f"{verb}: " + ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in counts.items()))
