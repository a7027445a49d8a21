"""data/suspects.csv: photos that people should look at, by kind and then from the most doubtful on."""

from pathlib import Path

import pandas as pd

from stages.core import tables

KINDS = ("label_error", "outlier")
COLUMNS = {
    "image_id": "str",
    "path": "str",
    "split": "str",
    "label": "str",
    "kind": "str",  # label_error | outlier
    "suggested": "str",  # the class that the networks name, empty for an outlier
    # Of a label_error the probability of its label; of an outlier how many times the distance that is far.
    "score": "float",
}
# data/probes/<model>_distances.csv: cosine distances from the photos of train, and where being far begins.
DISTANCES = {"image_id": "str", "distance": "float", "fence": "float"}


def read(path: Path) -> pd.DataFrame:
    """Read the table and check it. Raises tables.TableError naming the column and the first bad value."""
    frame = tables.read(path, COLUMNS)
    tables.require(path, frame["kind"].isin(KINDS), frame["kind"], " or ".join(KINDS))
    return frame
