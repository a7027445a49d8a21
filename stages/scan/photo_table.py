"""Tables that name photos with labels, splits, groups and boxes: CSV, TSV and Parquet."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from stages.scan import column_roles
from stages.scan.cells import Cells, read_cells, shown
from stages.scan.rows import BOX, TEXT, LayoutError, finish, from_columns
from stages.sources.settings import ColumnSettings


class PhotoTable(NamedTuple):
    """The rows of a table, with all of rows.COLUMNS, and the names of the columns that are not used."""

    rows: pd.DataFrame
    unused: list[str]


def read_table(name: str, content: bytes, columns: ColumnSettings, labelled: bool = True) -> PhotoTable:
    """Read a table of photos, one row for each photo or for each box; `name` ends in .csv, .tsv or .parquet.

    Values stay as written, so `007`, `NA` and `None` are labels, and paths may lead anywhere. The columns x_min,
    y_min, x_max and y_max, if there are any, give boxes in pixels, right and bottom exclusive. Reasons are `no_label`,
    of labelled sources only, and `bad_box`. Raises LayoutError naming the row, the column and its parameter.
    """
    cells = read_cells(name, content)
    path = column_roles.require_column(cells, columns.path, "path")
    label = columns.label
    if labelled or label in cells.columns:
        label = column_roles.require_column(cells, label, "label")
    split = column_roles.optional_column(cells, columns, "split")
    group = column_roles.optional_column(cells, columns, "group")
    boxes = _boxes(cells)
    texts: dict[str, list[str] | np.ndarray] = {
        "path": cells.text(path),
        "label": column_roles.label_values(cells, label if label in cells.columns else None),
        "split": column_roles.split_values(cells, split),
        "group": column_roles.group_values(cells, group),
        "origin": column_roles.origin_values(cells, columns.origin if labelled else None),
        "time": column_roles.time_values(cells, columns.time if labelled else None),
    }
    reason = np.where(_lacks_area(boxes), "bad_box", "")
    frame = from_columns({**texts, **boxes, "reason": reason}, len(cells.numbers))
    _check_paths(cells, frame)
    used = {path, label, split, group, columns.origin, columns.time, *BOX}
    return PhotoTable(finish(frame, labelled=labelled), [column for column in cells.columns if column not in used])


def _boxes(cells: Cells) -> dict[str, np.ndarray]:
    """Return the columns of the boxes; NaN where a row has none."""
    present = [column for column in BOX if column in cells.columns]
    if not present:
        return dict.fromkeys(BOX, np.full(len(cells.numbers), np.nan))
    if len(present) < len(BOX):
        absent = ", ".join(f"`{column}`" for column in BOX if column not in present)
        raise LayoutError(
            f"{cells.name}: expected all columns of boxes, {', '.join(BOX)}, or none, found no {absent}; add it, or "
            "rename the others"
        )
    boxes = {column: _coordinates(cells, column) for column in BOX}
    partial = np.isnan(list(boxes.values())).sum(axis=0) % len(BOX) > 0
    if partial.any():
        row = int(partial.argmax())
        values = {column: cells.columns[column][row] for column in BOX}
        raise cells.error(row, f"expected a number in each of {', '.join(BOX)}, or in none, found {shown(values)}")
    return boxes


def _coordinates(cells: Cells, column: str) -> np.ndarray:
    words = pd.Series(cells.text(column), dtype=TEXT).str.strip()
    numbers = pd.to_numeric(words.where(words != "", None), errors="coerce").to_numpy(np.float64, na_value=np.nan)
    bad = ~np.isfinite(numbers) & (words != "").to_numpy()
    if bad.any():
        row = int(bad.argmax())
        raise cells.error(row, f"expected pixels in the column `{column}`, found {shown(words[row])}")
    return numbers


def _lacks_area(boxes: dict[str, np.ndarray]) -> np.ndarray:
    return (boxes["x_max"] <= boxes["x_min"]) | (boxes["y_max"] <= boxes["y_min"])


def _check_paths(cells: Cells, frame: pd.DataFrame) -> None:
    """Check that every row has a path, and that rows of one path are of different boxes of one photo."""
    blank = (frame["path"].str.strip() == "").to_numpy()
    if blank.any():
        raise cells.error(int(blank.argmax()), "expected the path of a photo, found none")
    repeated = frame[frame["path"].duplicated(keep=False)]
    if repeated.empty:
        return
    rules = {
        "path": (repeated["x_min"].notna(), "each path once, or a box in each of its rows"),
        "box": (~repeated.duplicated(["path", *BOX]), "another box in each row of a path"),
        "split": (_is_first_value(repeated, "split"), "one split for all rows of a path"),
        "group": (_is_first_value(repeated, "group"), "one group for all rows of a path"),
        "origin": (_is_first_value(repeated, "origin"), "one origin for all rows of a path"),
        "time": (_is_first_value(repeated.fillna({"time": -np.inf}), "time"), "one time for all rows of a path"),
    }
    for good, rule in rules.values():
        if not good.all():
            row = int(good.index[~good][0])
            same = frame.index[frame["path"] == frame["path"][row]]
            numbers = " and ".join(str(cells.numbers[position]) for position in same[:3])
            raise cells.error(row, f"expected {rule}, found {shown(frame['path'][row])} in the rows {numbers}")


def _is_first_value(frame: pd.DataFrame, column: str) -> "pd.Series[bool]":
    return frame[column] == frame.groupby("path")[column].transform("first")
