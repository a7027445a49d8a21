"""data/issues.csv: photos to inspect, label issues first and then outliers, the most severe of each kind first."""

from pathlib import Path

import pandas as pd

from stages.core import tables

KINDS = ("label_issue", "outlier")
COLUMNS = {
    "image_id": "str",
    "path": "str",
    "split": "str",
    "label": "str",
    "kind": "str",  # label_issue | outlier
    "suggested_label": "str",  # the other class of the highest out-of-sample probability; empty for an outlier
    # Of a label issue the probability that its label is wrong; of an outlier its distance over the threshold.
    "score": "float",
}
# data/probes/<model>_distances.csv: cosine distances from the photos of train, and the threshold of outliers.
DISTANCES = {"image_id": "str", "distance": "float", "outlier_threshold": "float"}


def read(path: Path) -> pd.DataFrame:
    """Read the table and check it. Raises TableError naming the column and the first bad value."""
    frame = tables.read(path, COLUMNS)
    tables.require(path, frame["kind"].isin(KINDS), frame["kind"], " or ".join(KINDS))
    return frame
