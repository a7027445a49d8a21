"""The detected boxes of many photos, from the tables of earlier stages."""

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import compute

from stages.images import boxes
from stages.selection.main_car import PhotoSet


def photo_set(photos: pd.DataFrame, detections: pd.DataFrame) -> PhotoSet:
    """The boxes of rows of data/manifest.csv, from rows of data/detections.csv."""
    # By Arrow: as Python values the ids of all boxes take several times the memory of the table.
    ids = pa.array(photos["image_id"], pa.large_string())
    found = compute.index_in(pa.array(detections["image_id"], pa.large_string()), value_set=ids)
    number = found.fill_null(-1).to_numpy().astype(np.int64)
    rows = np.argsort(number, kind="stable")[np.count_nonzero(number < 0) :]
    corners, scores = (
        detections[boxes.COLUMNS].to_numpy(np.float64)[rows],
        detections["score"].to_numpy(np.float64)[rows],
    )
    classes, names = pd.factorize(detections["class_name"])
    sizes_wh = photos[["width", "height"]].to_numpy(np.float64)
    return PhotoSet(corners, scores, classes[rows], np.asarray(names, dtype=object), number[rows], sizes_wh)
