"""data/masks.csv: one row per row of the manifest, with what the mask covers and whether it is used; data/masks."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from stages.core import tables

# The columns that data/boxes.csv has, too.
OF_BOXES = ("image_id", "path", "status", "reason")
COLUMNS = {
    "image_id": "str",
    "path": "str",
    "status": "str",  # as in data/boxes.csv
    "reason": "str",
    "coverage": "float",  # mean of the mask over the crop, 0..1; empty where there is no mask
    "agreement": "float",  # of the segmenters: mean IoU of their masks, two by two; empty where there is none
    "n_regions": "int",  # separate parts that the mask keeps
    "is_masked": "bool",  # false: the whole crop is used
    "mask_reason": "str",  # why the mask is not used
}


# The mask_reason by a decision of people in data/corrections.csv.
KEPT_BY_REVIEW = "background_kept_by_review"


def file_name(image_id: str) -> str:
    """The name of a photo's mask in data/masks, and of its map in the archive of each segmenter."""
    return f"{image_id}.png"


def read(path: Path, columns: Iterable[str] = COLUMNS) -> pd.DataFrame:
    """Read the table, or some of its `columns`, and check it.

    Raises TableError naming the column and the first bad value.
    """
    frame = tables.read(path, {name: COLUMNS[name] for name in columns})
    for name in frame.columns.intersection(["coverage", "agreement"]):
        tables.require(path, frame[name].between(0, 1) | frame[name].isna(), frame[name], "0..1")
    return frame
