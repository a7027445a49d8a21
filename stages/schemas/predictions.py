"""Probability tables: one row per photo, one column per class."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from stages.core import tables
from stages.core.errors import TableError

# Wide enough for float32 softmax sums and for the digits that a CSV keeps.
_SUM_TOLERANCE = 1e-4


class Predictions(NamedTuple):
    """`image_ids` (N,) sorted text; `probabilities` (N, C) float64, rows sum to one; `classes` C names."""

    image_ids: list[str]
    probabilities: np.ndarray
    classes: list[str]


def write(path: Path, predictions: Predictions) -> None:
    """Write a probability table, sorted by image id."""
    frame = pd.DataFrame(predictions.probabilities, columns=predictions.classes)
    frame.insert(0, "image_id", predictions.image_ids)
    tables.write(path, frame.sort_values("image_id"))


def read(path: Path, classes: list[str] | None = None) -> Predictions:
    """Read and check a probability table; `classes`, where given, must be its classes in the same order.

    Raises TableError when ids repeat, classes differ, or a row is no probability distribution.
    """
    try:
        header = pd.read_csv(path, dtype=str, nrows=0).columns.tolist()
    except FileNotFoundError:
        raise TableError(f"{path}: expected a probability table, found none; run `dvc repro`") from None
    except pd.errors.EmptyDataError:
        raise TableError(f"{path}: expected a probability table, found an empty file; run `dvc repro`") from None
    found = header[1:]
    if header[:1] != ["image_id"] or (classes is not None and found != classes):
        expected = ["image_id", *(classes or ["<one column per class>"])]
        raise TableError(f"{path}: expected columns {', '.join(expected)}, found {', '.join(header)}")
    frame = tables.read(path, {"image_id": "str", **dict.fromkeys(found, "float")})
    tables.require_unique(path, frame["image_id"], "each id once")
    values = frame[found].to_numpy(dtype=np.float64)
    sums = pd.Series(values.sum(axis=1), name="the sum of the classes")
    good = pd.Series(np.isfinite(values).all(axis=1) & (values >= 0).all(axis=1) & (abs(sums) - 1 < _SUM_TOLERANCE))
    tables.require(path, good & (sums > 1 - _SUM_TOLERANCE), sums, "probabilities of 0..1 with the sum 1")
    return Predictions(frame["image_id"].tolist(), values, found)
