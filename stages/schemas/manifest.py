"""data/manifest.csv: one row per input file, sorted by image id and path."""

from pathlib import Path

import pandas as pd

from stages.core import tables

COLUMNS = {
    "image_id": "str",  # first 16 hex digits of the file's SHA-256; empty where the file could not be read
    "path": "str",  # relative to the source folder, with forward slashes
    "label": "str",
    "status": "str",  # ok | failed (cannot be read) | rejected (readable, not to be used)
    "reason": "str",
    "width": "int",  # of the upright picture in pixels; 0 where there is none
    "height": "int",
    "phash": "str",  # 64-bit perceptual hash in hex
    "group": "str",  # near-duplicates share it; the smallest image id among them
    "split": "str",  # train | val | test, empty where the status is not ok
}


SPLITS = ("train", "val", "test")


def read(path: Path) -> pd.DataFrame:
    """Read the manifest and check it. Raises tables.TableError naming the column and the first bad value."""
    frame = tables.read(path, COLUMNS)
    usable = frame["status"] == "ok"
    tables.require(path, frame["status"].isin(["ok", "failed", "rejected"]), frame["status"], "ok, failed or rejected")
    tables.require(path, frame["split"].isin(SPLITS) | ~usable, frame["split"], "train, val or test")
    tables.require(path, ~(frame["image_id"].duplicated() & usable), frame["image_id"], "each usable photo once")
    return frame


def photo_root(source: Path) -> Path:
    """The folder that the manifest's paths are relative to: the source folder, or the one its CSV lies in."""
    return source.parent if source.suffix == ".csv" else source
