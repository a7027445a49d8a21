"""CSV tables of what prediction reads and writes, in the format of `tables`, without pandas.

To import pandas takes a third of a second, and to install it 55 MB: a bundle needs neither.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from stages.core import atomic
from stages.core.errors import TableError

# The columns of a table by name, all of one length.
Columns = Mapping[str, Sequence[object]]


def write(path: Path, columns: Columns) -> None:
    """Write a table as `tables.write` does. Raises TableError on a carriage return."""
    for name, values in columns.items():
        for row, value in enumerate(values):
            if isinstance(value, str) and "\r" in value:
                text = f"column `{name}`, row {row + 2}: expected no carriage return, found {value!r}"
                raise TableError(f"{path}: {text}")
    atomic.write_text(path, to_text(columns))


def to_text(columns: Columns) -> str:
    """The table as text: floats in the shortest form that reads back to the same value, NaN as an empty cell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in zip(*columns.values(), strict=True))
    return text.getvalue()


def _cell(value: object) -> object:
    return "" if isinstance(value, float) and math.isnan(value) else value


def read_column(path: Path, name: str) -> list[str]:
    """The cells of one column of a table, UTF-8 with or without byte order mark, as text.

    Raises TableError naming the file.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            rows = [(reader.line_num, row) for row in reader if row]
    except FileNotFoundError:
        raise TableError(f"{path}: expected a table here, found none") from None
    except (csv.Error, UnicodeDecodeError) as error:
        raise TableError(f"{path}: expected a CSV table, found: {error}") from None
    (_, header), *others = rows or [(0, [])]
    if name not in header:
        raise TableError(f"{path}: expected a column `{name}`, found {', '.join(header) or 'none'}")
    for line, row in others:
        if len(row) > len(header):
            text = f"line {line}: expected {len(header)} cells, found {len(row)}"
            raise TableError(f"{path}: {text}; quote cells that have commas")
    place = header.index(name)
    return [row[place] if place < len(row) else "" for _, row in others]
