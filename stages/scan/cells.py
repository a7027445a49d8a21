"""Columns of CSV, TSV, Parquet and JSON-lines files, with every value as it is written."""

import csv
import io
import json
import posixpath
from typing import Any, NamedTuple

import pandas as pd

from stages.scan.rows import LayoutError
from stages.sources.file_names import is_photo_name

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_WORDS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars"}
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


class Cells(NamedTuple):
    """A table: values by column, and the row of each in the file. The header of a CSV is row 1."""

    name: str
    columns: dict[str, list[Any]]
    numbers: list[int]

    def found(self) -> str:
        """Return the names of the columns, for errors."""
        return ", ".join(f"`{name}`" for name in self.columns)

    def text(self, column: str) -> list[str]:
        """Return a column as text; empty where a value is missing. Raises LayoutError on a value with parts."""
        return [value if isinstance(value, str) else self._as_text(column, row) for row, value in self.rows(column)]

    def rows(self, column: str) -> "enumerate[Any]":
        """Return positions and values of a column."""
        return enumerate(self.columns[column])

    def error(self, row: int, text: str) -> LayoutError:
        """Return the error that names this file and the row at a position."""
        return LayoutError(f"{self.name}: row {self.numbers[row]}: {text}")

    def _as_text(self, column: str, row: int) -> str:
        value = self.columns[column][row]
        if isinstance(value, list | dict | bytes) or hasattr(value, "__len__"):
            raise self.error(row, f"expected a text or a number in the column `{column}`, found {shown(value)}")
        return "" if pd.isna(value) else str(value)


def shown(value: object) -> str:
    """Return a value in short, for errors."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def read_cells(name: str, content: bytes) -> Cells:
    """Read a `.csv`, `.tsv`, `.parquet` or `.jsonl` file. Raises LayoutError, also if it has no rows."""
    suffix = posixpath.splitext(name)[1].lower()
    if suffix == ".parquet":
        cells = _read_parquet(name, content)
    elif suffix == ".jsonl":
        cells = _read_json_lines(name, decode(name, content))
    elif suffix in _DELIMITERS:
        cells = _read_delimited(name, decode(name, content), _DELIMITERS[suffix])
    else:
        raise LayoutError(
            f"{name}: expected a table that ends in .csv, .tsv or .parquet, found {suffix or 'no ending'}"
        )
    if not cells.numbers:
        raise LayoutError(f"{name}: expected rows that name photos, found none")
    return cells


def decode(name: str, content: bytes) -> str:
    """Return the text of a UTF-8 file, without a byte order mark. Raises LayoutError naming the first other byte."""
    if content.startswith(_UTF16):
        raise LayoutError(f"{name}: expected UTF-8, found UTF-16; save it as UTF-8")
    if content.startswith(b"PK\3\4"):
        raise LayoutError(f"{name}: expected text, found a ZIP file or an Excel workbook; save it as CSV in UTF-8")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row, byte = content.count(b"\n", 0, error.start) + 1, content[error.start]
        raise LayoutError(f"{name}: row {row}: expected UTF-8, found the byte 0x{byte:02x}; save it as UTF-8") from None


def _read_delimited(name: str, text: str, delimiter: str) -> Cells:
    header, lines = _split_rows(name, text, delimiter)
    names = [cell.strip() or f"column {position}" for position, cell in enumerate(header, 1)]
    _check_header(name, names, delimiter)
    for number, cells in lines:
        if len(cells) != len(names):
            raise LayoutError(f"{name}: row {number}: expected {len(names)} cells as in row 1, found {len(cells)}")
    values = zip(*(cells for _, cells in lines)) if lines else [()] * len(names)
    return Cells(name, dict(zip(names, map(list, values))), [number for number, _ in lines])


def _split_rows(name: str, text: str, delimiter: str) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Part a text into its header and its other rows, each with the number of its first line; blank rows are left out.

    If a space follows every comma of the header, spaces after commas are no part of the values.
    """
    first = text.lstrip().partition("\n")[0]
    spaced = 0 < first.count(f"{delimiter} ") == first.count(delimiter)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=spaced)
    lines, number = [], 1
    try:
        for cells in reader:
            if any(cell and not cell.isspace() for cell in cells):
                lines.append((number, cells))
            number = reader.line_num + 1
    except csv.Error as error:
        raise LayoutError(f"{name}: row {number}: expected a table with {_WORDS[delimiter]}, found: {error}") from None
    if not lines:
        raise LayoutError(f"{name}: expected a header and rows that name photos, found an empty file")
    return lines[0][1], lines[1:]


def _check_header(name: str, names: list[str], delimiter: str) -> None:
    others = [other for other in _WORDS if other != delimiter and other in names[0]]
    if len(names) == 1 and others and not is_photo_name(names[0]):
        raise LayoutError(
            f"{name}: expected columns separated by {_WORDS[delimiter]}, found {_WORDS[others[0]]} in the header "
            f"{shown(names[0])}; save it with {_WORDS[delimiter]}"
            + (", or with tabs under a name that ends in .tsv" if delimiter == "," and others[0] == "\t" else "")
        )
    if any(map(is_photo_name, names)):
        raise LayoutError(
            f"{name}: expected a header with the names of the columns, found the row "
            f"{shown(delimiter.join(names))}; write a first row such as path{delimiter}label"
        )
    repeated = next((column for column in names if names.count(column) > 1), None)
    if repeated:
        raise LayoutError(f"{name}: expected each column once, found `{repeated}` twice; rename one")


def _read_parquet(name: str, content: bytes) -> Cells:
    try:
        frame = pd.read_parquet(io.BytesIO(content), dtype_backend="numpy_nullable")
    except ImportError:
        raise LayoutError(f"{name}: expected the package pyarrow, which reads Parquet; pip install pyarrow") from None
    except (ValueError, OSError) as error:
        raise LayoutError(f"{name}: expected a Parquet file, found: {str(error).splitlines()[0]}") from None
    twice = [index for index in frame.index.names if index in frame.columns]
    if twice:
        raise LayoutError(f"{name}: expected each column once, found `{twice[0]}` as the index, too; write it without")
    named = frame.reset_index() if any(frame.index.names) else frame
    columns = {str(column): named[column].astype(object).tolist() for column in named.columns}
    return Cells(name, columns, list(range(1, len(named) + 1)))


def _read_json_lines(name: str, text: str) -> Cells:
    numbered = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    records = [_parse_line(name, number, line) for number, line in numbered]
    names = dict.fromkeys(key for record in records for key in record)
    columns = {key: [record.get(key) for record in records] for key in names}
    return Cells(name, columns, [number for number, _ in numbered])


def _parse_line(name: str, number: int, line: str) -> dict[str, Any]:
    """Return the object of a line; its numbers stay the text that they are."""
    try:
        record = json.loads(line, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise LayoutError(f"{name}: row {number}: expected a JSON object, found: {error}") from None
    if not isinstance(record, dict):
        raise LayoutError(f"{name}: row {number}: expected a JSON object, found {shown(record)}")
    return record
