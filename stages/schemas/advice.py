"""metrics/advice.json: what linear probes say of each input and backbone, for the report."""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from stages.core import atomic


class Advice(NamedTuple):
    """`splits` is the SHA-256 of the data/splits.csv whose photos it is about, `n_photos` their number, `base` a name.

    Of `rows`, one for each input and backbone: `input`, `backbone`, `accuracy` and `log_loss` (nats) out of fold;
    `time` of the network as a multiple of the base's; `gain`, the log loss less that of the base by the same backbone,
    and `both_gain`, that of the mean of both, each with `_low` and `_high`, the ends of the 95 % interval.
    """

    splits: str
    n_photos: int
    base: str
    rows: list[dict[str, Any]]


def digest(splits: Path) -> str:
    """The SHA-256 of data/splits.csv, in hex."""
    return hashlib.sha256(splits.read_bytes()).hexdigest()


def write(path: Path, advice: Advice) -> None:
    """Write the file."""
    atomic.write_json(path, advice._asdict())


def read(path: Path, splits: Path) -> Advice | None:
    """Read the file; None where there is none, and where it is about other photos than those of data/splits.csv."""
    if not path.is_file():
        return None
    advice = Advice(**json.loads(path.read_text(encoding="utf-8")))
    return advice if advice.splits == digest(splits) else None
