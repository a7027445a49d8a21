"""data/detections.csv: one row per box, sorted by image id, best score first."""

from pathlib import Path

import pandas as pd

from stages.core import tables

COLUMNS = {
    "image_id": "str",
    "class_name": "str",
    "score": "float",  # 0..1
    "x_min": "float",  # pixels of the upright photo, right and bottom exclusive
    "y_min": "float",
    "x_max": "float",
    "y_max": "float",
}


def read(path: Path) -> pd.DataFrame:
    """Read the boxes and check scores and corners. Raises TableError naming the first bad value."""
    frame = tables.read(path, COLUMNS)
    tables.require(path, frame["score"].between(0, 1), frame["score"], "a score in 0..1")
    tables.require(path, frame["x_max"] >= frame["x_min"], frame["x_max"], "x_max at or right of x_min")
    tables.require(path, frame["y_max"] >= frame["y_min"], frame["y_max"], "y_max at or below y_min")
    return frame
