"""The curves of training: a table for each figure that was logged epoch by epoch."""

from pathlib import Path

import pandas as pd

from stages.core.errors import TableError

# Each in a file of its own below plots/metrics.
FIGURES = ("train/loss", "val/log_loss", "val/accuracy")


def read(folder: Path) -> dict[str, pd.DataFrame]:
    """Read the curves of one model, metrics/train/<model>: a table with `step` and one value column for each of FIGURES
    that was logged. Raises TableError naming a file that holds something else.
    """
    paths = {figure: folder / "plots" / "metrics" / f"{figure}.tsv" for figure in FIGURES}
    return {figure: _read(path) for figure, path in paths.items() if path.is_file()}


def _read(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, sep="\t")
    except (pd.errors.EmptyDataError, pd.errors.ParserError) as error:
        raise TableError(f"{path}: expected a curve, found: {error}") from None
    if list(table.columns[:1]) != ["step"] or table.shape[1] != 2:
        raise TableError(f"{path}: expected `step` and one value, found {', '.join(table.columns)}")
    return table
