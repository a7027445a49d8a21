"""The detected boxes of many photos, from the tables of earlier stages."""

import numpy as np
import pandas as pd

from stages.images import boxes
from stages.selection.main_car import PhotoSet


def photo_set(photos: pd.DataFrame, detections: pd.DataFrame) -> PhotoSet:
    """The boxes of rows of data/manifest.csv, from rows of data/detections.csv."""
    number = pd.Index(photos["image_id"]).get_indexer(detections["image_id"])
    rows = np.argsort(number, kind="stable")[np.count_nonzero(number < 0) :]
    corners, scores = (
        detections[boxes.COLUMNS].to_numpy(np.float64)[rows],
        detections["score"].to_numpy(np.float64)[rows],
    )
    classes, names = pd.factorize(detections["class_name"].to_numpy(dtype=object)[rows])
    return PhotoSet(corners, scores, classes, names, number[rows], photos[["width", "height"]].to_numpy(np.float64))
