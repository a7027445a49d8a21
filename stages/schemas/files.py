"""data/files.csv: one row per labelled object or unlabelled file of the source, sorted by split and path."""

from pathlib import Path

import pandas as pd

from stages.core import tables
from stages.schemas.manifest import SPLITS, UNLABELLED

COLUMNS = {
    "path": "str",  # relative to the source, with forward slashes; names that tables cannot hold are escaped
    "label": "str",  # the class, after the class map; empty where there is none
    "split": "str",  # the given split: train | val | test; unlabelled; or empty: assigned by ingest
    "group": "str",  # the given group, such as one car or one video; empty where none is given
    "origin": "str",  # what the photo comes from, such as a dealer or a website; empty where none is given
    "time": "float",  # the given time, a number or the seconds of a date; empty where none is given
    "x_min": "float",  # the annotated box in pixels, right and bottom exclusive; empty where there is none
    "y_min": "float",
    "x_max": "float",
    "y_max": "float",
    "annotated_width": "int",  # size of the photo that the annotation declares; 0 where it declares none
    "annotated_height": "int",
    "version": "str",  # sha256:<hex>, or etag:<tag> of a bucket; empty where the file cannot be read
    "reason": "str",  # why the file is not to be decoded, or empty
}


def read(path: Path) -> pd.DataFrame:
    """Read the table and check it. Raises TableError naming the column and the first bad value."""
    frame = tables.read(path, COLUMNS)
    known = frame["split"].isin([*SPLITS, UNLABELLED, ""])
    tables.require(path, known, frame["split"], "train, val, test, unlabelled or nothing")
    return frame
