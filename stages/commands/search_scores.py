"""What a search reads of an experiment: its log loss on val, which decides, and its test photos, for the end alone."""

import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from stages.commands import compare, revisions
from stages.commands.search_space import Search
from stages.core import json_file
from stages.core.errors import UserError


def val_log_loss(revision: str, search: Search) -> float:
    """The log loss on val of an experiment. Raises UserError if its figures lack it, as without photos in val."""
    if search.objective == "log_loss":
        return _figure(revision, search, search.val_key)
    photos = compare.split_outcomes(revision, search.predictions, "val", _figure(revision, search, "temperature"))
    if photos.empty:
        raise UserError(f"data/splits.csv of `{revision}`: expected photos in val, found none")
    return float(photos["log_loss"].mean())


def test_outcomes(revision: str, search: Search) -> pd.DataFrame:
    """The test photos of an experiment, as `compare.split_outcomes` has them, with the log loss of the objective."""
    calibrated = search.objective == "log_loss_calibrated"
    temperature = _figure(revision, search, "temperature") if calibrated else 1.0
    return compare.split_outcomes(revision, search.predictions, "test", temperature)


def _figure(revision: str, search: Search, key: str) -> float:
    """The number `key`, such as `val.log_loss`, in the details of an experiment. Raises UserError if it is missing."""
    with tempfile.TemporaryDirectory() as folder:
        node: Any = json_file.read(revisions.fetch(revision, search.details, Path(folder)))
    for part in key.split("."):
        node = node.get(part) if isinstance(node, dict) else None
    if isinstance(node, bool) or not isinstance(node, int | float):
        raise UserError(f"{search.details}: expected a number `{key}`, found {node!r}; are there enough photos in val?")
    return float(node)
