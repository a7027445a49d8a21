"""data/probes/<model>_map.csv: places of photos in the plane, near each other where their features are alike."""

from pathlib import Path

import pandas as pd

from stages.core import tables

# `x` and `y` in 0..1, at one scale; the longer side of the map is 1.
COLUMNS = {"image_id": "str", "x": "float", "y": "float"}


def read(path: Path) -> pd.DataFrame:
    """Read the table and check it. Raises TableError naming the column and the first bad value."""
    frame = tables.read(path, COLUMNS)
    tables.require_unique(path, frame["image_id"], "each id once")
    for name in ("x", "y"):
        tables.require(path, frame[name].between(0, 1), frame[name], "a number of 0..1")
    return frame
