"""Progress of a stage: a bar while it runs, one line of counts at its end."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar

from tqdm import tqdm

from stages.core import system

Item = TypeVar("Item")
_LOCK = Path("requirements.lock")


def track(iterable: Iterable[Item], total: int, unit: str, desc: str) -> Iterator[Item]:
    """Yield the items of `iterable` behind a progress bar on standard error that shows a rate in `unit`/s."""
    return iter(tqdm(iterable, total=total, unit=unit, desc=desc, file=sys.stderr, mininterval=0.5))


@contextmanager
def reading(stream: IO[bytes], total: int, desc: str) -> Iterator[Any]:
    """Yield `stream`, of `total` bytes, behind a progress bar on standard error that grows as it is read."""
    bar = tqdm.wrapattr(
        stream, "read", total=total, unit="B", unit_scale=True, desc=desc, file=sys.stderr, mininterval=0.5
    )
    with bar as wrapped:
        yield wrapped


def summary(verb: str, **counts: object) -> None:
    """Print the closing line of a stage, such as `ingest: 612 photos, 8 unreadable`.

    If installed packages differ from the lock file, also print a warning to standard error.
    """
    print(f"{verb}: " + ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in counts.items()))
    differences = system.drift_from(_LOCK)
    if differences:
        first = f"{'; '.join(differences[:3])}{' ...' if len(differences) > 3 else ''}"
        print(
            f"{verb}: {len(differences)} packages differ from {_LOCK} ({first}): results may differ; "
            "run `make -B .venv/ready`",
            file=sys.stderr,
        )
