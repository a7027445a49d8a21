"""data/manifest.csv: one row per labelled object or file of data/files.csv, sorted by image id and path."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from stages.core import tables

COLUMNS = {
    # First 16 hex digits of the file's SHA-256, empty where the file could not be read; `-2`, `-3` follow for the
    # second and third labelled object of one photo.
    "image_id": "str",
    "path": "str",  # relative to the source, with forward slashes
    "label": "str",
    "status": "str",  # ok | failed (cannot be read) | rejected (readable, not to be used)
    "reason": "str",
    "note": "str",  # what was repaired in a photo that is used
    "width": "int",  # of the upright picture in pixels; 0 where there is none
    "height": "int",
    "phash": "str",  # 64-bit perceptual hash in hex
    "group": "str",  # near-duplicates share it; the smallest image id among them
    "split": "str",  # train | val | test, empty where the status is not ok; unlabelled, whatever the status
    "x_min": "float",  # the annotated box in pixels of the upright photo; empty where there is none
    "y_min": "float",
    "x_max": "float",
    "y_max": "float",
}

# Reasons by decisions of people in data/corrections.csv.
DROPPED_BY_REVIEW, NOT_A_CAR = "dropped_by_review", "not_a_car"
# Reasons of files that are, or may be, readable; with any other reason a file cannot be read.
REJECTED = (
    *("no_label", "duplicate", "conflicting_labels", "dropped_class", "not_listed", "duplicate_box", "crowd"),
    *("bad_box", "annotation_size", "ambiguous_box", "bad_annotation"),
    *(DROPPED_BY_REVIEW, NOT_A_CAR),
)
SPLITS = ("train", "val", "test")
# Photos to predict: a set of their own, without labels.
UNLABELLED = "unlabelled"


def read(path: Path, columns: Iterable[str] = COLUMNS) -> pd.DataFrame:
    """Read the manifest, or some of its `columns`, among them `image_id`, `status` and `split`, and check it.

    Raises TableError naming the column and the first bad value.
    """
    frame = tables.read(path, {name: COLUMNS[name] for name in columns})
    usable = frame["status"] == "ok"
    tables.require(path, frame["status"].isin(["ok", "failed", "rejected"]), frame["status"], "ok, failed or rejected")
    known = frame["split"].isin([*SPLITS, UNLABELLED])
    tables.require(path, known | ~usable, frame["split"], "train, val, test or unlabelled")
    tables.require_unique(path, frame["image_id"], "each usable photo once", among=usable)
    return frame
