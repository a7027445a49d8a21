"""data/detection_failures.csv: the photos in which detection failed in a way of its own, with the reason."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from stages.core import tables

COLUMNS = {
    "image_id": "str",
    "reason": "str",  # worker_died: the photo ends each process of the cluster that gets it
}


def table(reasons: Mapping[str, str]) -> pd.DataFrame:
    """The table, sorted by image id, from reasons by image id."""
    return pd.DataFrame(sorted(reasons.items()), columns=list(COLUMNS))


def read(path: Path) -> dict[str, str]:
    """The reasons by image id. Raises TableError."""
    frame = tables.read(path, COLUMNS)
    return dict(zip(frame["image_id"], frame["reason"]))
