"""data/model_inputs.csv: one row per row of the manifest; the images are in data/model_inputs."""

from pathlib import Path

import pandas as pd

from stages.core import tables
from stages.schemas import manifest

COLUMNS = {
    "image_id": "str",
    "path": "str",
    "label": "str",
    "group": "str",
    "split": "str",
    "status": "str",  # ok | dropped | failed | rejected
    "reason": "str",
    "background": "str",  # remove | blur | keep: what was done to this photo
    "file": "str",  # name in data/model_inputs, <image_id>.<format>; empty where the status is not ok
    "scale": "float",  # pixels of the model input per pixel of the crop
    "pad_left": "int",  # pixels of the model input
    "pad_top": "int",
}


def read(path: Path) -> pd.DataFrame:
    """Read the table and check it. Raises tables.TableError naming the column and the first bad value."""
    frame = tables.read(path, COLUMNS)
    usable = frame["status"] == "ok"
    known = frame["split"].isin([*manifest.SPLITS, manifest.UNLABELLED])
    tables.require(path, known | ~usable, frame["split"], "train, val, test or unlabelled")
    is_repeated = frame["image_id"].where(usable).duplicated() & usable
    tables.require(path, ~is_repeated, frame["image_id"], "each usable photo once")
    return frame
