"""data/boxes.csv: one row per row of the manifest, with the chosen box or the reason for none; data/crops."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from stages.core import tables

# Why a photo has no main car, in the order in which the rule looks.
REJECTION_REASONS = ("no_vehicle", "other_class", "low_score", "too_small", "cut_by_frame", "several_cars")
# The class of a box that the source's annotations give.
ANNOTATED = "annotated"
# The class of a box that people drew: a decision in data/corrections.csv.
REVIEWED = "reviewed"
COLUMNS = {
    "image_id": "str",
    "path": "str",
    "status": "str",  # ok | dropped (no car chosen, and such photos are dropped) | failed | rejected
    "reason": "str",  # also of a photo that is used whole
    "is_cropped": "bool",
    "x_min": "float",  # the chosen box without margin, pixels of the upright photo; empty where none
    "y_min": "float",
    "x_max": "float",
    "y_max": "float",
    "score": "float",  # 0..1; 1 for a box that is annotated or reviewed
    "class_name": "str",
    "n_vehicles": "int",  # different vehicles above the threshold
    "runner_up_ratio": "float",  # rank (score x sqrt(area)) of the next best vehicle as a share of the best one's, 0..1
}


def file_name(image_id: str) -> str:
    """The name of a photo's crop in data/crops."""
    return f"{image_id}.jpg"


def read(path: Path, columns: Iterable[str] = COLUMNS) -> pd.DataFrame:
    """Read the table, or some of its `columns`, among them `status`, and check it.

    Raises TableError naming the column and the first bad value.
    """
    frame = tables.read(path, {name: COLUMNS[name] for name in columns})
    known = frame["status"].isin(["ok", "dropped", "failed", "rejected"])
    tables.require(path, known, frame["status"], "ok, dropped, failed or rejected")
    return frame
