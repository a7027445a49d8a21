"""Which columns of a table hold paths, labels, splits, groups, origins and times, and what they say."""

import difflib

import numpy as np

from stages.scan import times
from stages.scan.cells import Cells, shown
from stages.scan.rows import LayoutError, split_of
from stages.sources.file_names import is_photo_name
from stages.sources.settings import ColumnSettings

_LABEL_WORDS = ("label", "class", "class_name", "category", "species", "target")
# Columns that probably are a split or a group, under names that were not announced.
_LOOKALIKES = {
    "split": {"split", "splits", "subset", "fold", "set", "partition", "phase", "dataset", "dataset_split",
              "data_split", "data_set", "split_name"},
    "group": {"group", "groups", "group_id", "groupid", "group_name", "cluster", "cluster_id"},
}  # fmt: skip


def require_column(cells: Cells, column: str, role: str) -> str:
    """Return `column`. Raises LayoutError if it is absent, with the nearest match and the parameter of its `role`."""
    if column in cells.columns:
        return column
    parameter, near = f"ingest.columns.{role}", _nearest(cells, column, role)
    advice = f"did you mean `{near}`? set {parameter}: {near}" if near else f"set {parameter} to the name of one"
    raise LayoutError(f"{cells.name}: expected a column `{column}`, found {cells.found()}; {advice}")


def _nearest(cells: Cells, column: str, role: str) -> str | None:
    if role == "path":
        with_photos = [name for name, values in cells.columns.items() if is_photo_name(str(values[0]))]
        if with_photos:
            return with_photos[0]
    by_plain = {_plain(name): name for name in cells.columns}
    for word in (_plain(column), *(_LABEL_WORDS if role == "label" else ())):
        close = difflib.get_close_matches(word, by_plain, n=1)
        if close:
            return by_plain[close[0]]
    return None


def optional_column(cells: Cells, columns: ColumnSettings, role: str) -> str | None:
    """Return the column of a `role`, split or group, or None if the table has none.

    Raises LayoutError if a column that the settings name is absent, or if another looks like the one that is absent.
    """
    wanted = getattr(columns, role)
    if wanted is None or wanted in cells.columns:
        return wanted
    parameter = f"ingest.columns.{role}"
    if wanted != ColumnSettings.model_fields[role].default:
        raise LayoutError(
            f"{cells.name}: expected a column `{wanted}`, found {cells.found()}; set {parameter} to one of them, or "
            "to null if none is meant"
        )
    for name in set(cells.columns) - set(columns.names()):
        if _plain(name) in _LOOKALIKES[role]:
            raise LayoutError(
                f"{cells.name}: expected a column `{wanted}` or none like it, found `{name}`; to use it, set "
                f"{parameter}: {name}; to ignore it, set {parameter}: null"
            )
    return None


def label_values(cells: Cells, column: str | None) -> list[str]:
    """Return the label of each row; empty where it is blank or there is no column."""
    if column is None:
        return [""] * len(cells.numbers)
    return [text if text.strip() else "" for text in cells.text(column)]


def split_values(cells: Cells, column: str | None) -> list[str]:
    """Return the split of each row, train, val or test; empty in all rows if there is no column or it is blank.

    Raises LayoutError naming the first row with another value, or without one where others have one.
    """
    words = [""] * len(cells.numbers) if column is None else cells.text(column)
    splits = [split_of(word) or "" for word in words]
    if "" not in splits or not any(word.strip() for word in words):
        return splits
    row = splits.index("")
    advice = "fill it in every row, or empty it in all" if not words[row].strip() else "correct it"
    raise cells.error(
        row,
        f"expected train, val or test in the column `{column}`, found {shown(words[row])}; {advice}, or set "
        "ingest.columns.split: null to ignore the column",
    )


def group_values(cells: Cells, column: str | None) -> list[str]:
    """Return the group of each row without spaces around it, empty where there is none."""
    return [""] * len(cells.numbers) if column is None else [text.strip() for text in cells.text(column)]


def origin_values(cells: Cells, column: str | None) -> list[str]:
    """Return the origin of each row without spaces around it, empty where there is none."""
    if column is not None:
        require_column(cells, column, "origin")
    return group_values(cells, column)


def time_values(cells: Cells, column: str | None) -> np.ndarray:
    """Return the time (N,) float64 of each row, NaN where there is none. Raises LayoutError naming a bad one."""
    if column is None:
        return np.full(len(cells.numbers), np.nan)
    require_column(cells, column, "time")
    return times.read(cells.text(column), lambda row, text: cells.error(row, f"column `{column}`: {text}"))


def _plain(name: str) -> str:
    return name.strip().casefold().replace("-", "_").replace(" ", "_")
