"""metrics/crop/thresholds/<threshold>.csv: what the rule for the main car would do at other values of one threshold."""

from pathlib import Path

import pandas as pd

from stages.core import tables
from stages.schemas import crops

COLUMNS = {
    "value": "float",  # of the threshold
    "is_current": "bool",  # whether the rule has this value
    "photos": "int",
    "cropped": "int",  # photos with a chosen car
    "share_cropped": "float",  # 0..1
    **dict.fromkeys(crops.REJECTION_REASONS, "int"),  # photos without, by reason
}


def read(path: Path) -> pd.DataFrame:
    """Read one table and check it. Raises TableError naming the column and the first bad value."""
    frame = tables.read(path, COLUMNS)
    tables.require(path, frame["share_cropped"].between(0, 1), frame["share_cropped"], "0..1")
    return frame
