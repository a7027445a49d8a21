"""data/splits.csv: one row per row of the manifest, with its split, and whether the photo is used.

The rule for the main car has the last word: which photos are used is the same for all models.
"""

from collections.abc import Iterable
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
    "reason": "str",  # also of a photo that is used whole
}


def read(path: Path, columns: Iterable[str] = COLUMNS) -> pd.DataFrame:
    """Read the table, or some of its `columns`, among them `image_id`, `split` and `status`, and check it.

    Raises TableError naming the column and the first bad value.
    """
    frame = tables.read(path, {name: COLUMNS[name] for name in columns})
    usable = frame["status"] == "ok"
    known = frame["split"].isin([*manifest.SPLITS, manifest.UNLABELLED])
    tables.require(path, known | ~usable, frame["split"], "train, val, test or unlabelled")
    tables.require_unique(path, frame["image_id"], "each usable photo once", among=usable)
    return frame
