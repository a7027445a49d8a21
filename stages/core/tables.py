"""CSV tables between stages: written in a fixed format, checked when read."""

from collections.abc import Mapping
from csv import Error as CsvError
from csv import reader as iter_csv
from pathlib import Path

import numpy as np
import pandas as pd

from stages.core import atomic
from stages.core.errors import TableError

# No text is read as a missing value: a class may be called "None", "NA" or "nan".
_TEXT_KINDS = ("str", "string")
# Integers are parsed as floats, which represent every integer up to this one.
_MAX_INT = 2**53


def write(path: Path, frame: pd.DataFrame) -> None:
    """Write `frame` without its index; floats in the shortest form that reads back to the same value.

    Raises TableError on a carriage return, which pandas writes bare and reads as the end of a row.
    """
    for name in frame.columns[[pd.api.types.is_string_dtype(kind) for kind in frame.dtypes]]:
        require(path, ~frame[name].astype(str).str.contains("\r", regex=False), frame[name], "no carriage return")
    with atomic.replacing(path) as temporary:
        frame.to_csv(temporary, index=False, lineterminator="\n")


def read(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    """Read a table and check that it has `columns`, a mapping of name to "str", "int", "float" or "bool".

    Columns come back in the given order; others are left out. Empty cells are "" in text columns and NaN in
    float columns. Raises TableError naming the file, the column and the first bad value.
    """
    text = read_text(path)
    missing = [name for name in columns if name not in text.columns]
    if missing:
        raise TableError(f"{path}: expected a column `{missing[0]}`, found {', '.join(text.columns)}")
    return pd.DataFrame({name: _parse(path, text[name], kind) for name, kind in columns.items()})


def read_text(path: Path) -> pd.DataFrame:
    """Read a CSV table, UTF-8 with or without byte order mark, all cells as text; empty cells are "".

    Raises TableError naming the file.
    """
    try:
        return _read_arrow(path)
    # Arrow takes no short rows and no two columns of one name: pandas does, or says why not.
    except (OSError, ValueError, CsvError):
        return _read_pandas(path)


def _read_arrow(path: Path) -> pd.DataFrame:
    """As `read_text`, at several times pandas' speed.

    Raises OSError, ValueError or csv.Error for what only pandas may read.
    """
    # Imported here: it takes a tenth of a second, and not every process reads a table.
    import pyarrow as pa
    from pyarrow import csv

    with path.open("rb") as file:
        names = next(iter_csv([file.readline().decode("utf-8-sig")]), [])
    if len(set(names)) != len(names) or "" in names:
        raise ValueError(f"{path}: expected a name of its own for each column")
    found = csv.read_csv(
        path,
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.large_string()), strings_can_be_null=False
        ),
    )
    if found.column_names != names or len(names) < 2:
        raise ValueError(f"{path}: expected the columns {names}")
    text = pd.StringDtype(na_value=np.nan)
    return pd.DataFrame({name: pd.array(found[name], dtype=text) for name in names})


def _read_pandas(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise TableError(f"{path}: expected a table here, found none; run `dvc repro`") from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise TableError(f"{path}: expected a CSV table, found: {error}") from None


def require(path: Path, good: "pd.Series[bool]", values: "pd.Series", rule: str) -> None:
    """Raise TableError with the first of `values` for which `good` is false; `rule` is what was expected."""
    if not good.all():
        row = int((~good).to_numpy().argmax())
        value = values.iloc[row]
        raise TableError(f"{path}: column `{values.name}`, row {row + 2}: expected {rule}, found {value!r}")


def require_usable(path: Path, frame: pd.DataFrame) -> None:
    """Raise TableError if no row of the table at `path` has the status `ok`; the text counts the reasons."""
    if (frame["status"] == "ok").any():
        return
    reasons = frame.loc[frame["reason"] != "", "reason"].value_counts()
    counts = ", ".join(f"{count} {reason}" for reason, count in reasons.items()) or "no rows"
    raise TableError(f"{path}: expected usable photos, found none in {len(frame)} rows ({counts})")


def require_same_rows(path: Path, frame: pd.DataFrame, other_path: Path, other: pd.DataFrame) -> None:
    """Raise TableError unless both tables have the same `image_id` and `path` in the same order."""
    if frame[["image_id", "path"]].equals(other[["image_id", "path"]]):
        return
    raise TableError(
        f"{path}: expected the {len(other)} rows of {other_path} in the same order, found {len(frame)} rows that "
        "differ; run `dvc repro`"
    )


def _parse(path: Path, values: "pd.Series[str]", kind: str) -> pd.Series:
    if kind in _TEXT_KINDS:
        return values
    if kind == "bool":
        require(path, values.isin(["True", "False"]), values, "True or False")
        return values == "True"
    numbers = _numbers(values)
    if kind == "int":
        is_whole = (numbers % 1 == 0) & (numbers.abs() < _MAX_INT)
        require(path, is_whole, values, "a whole number")
        return numbers.astype("int64")
    require(path, numbers.notna() | (values == "") | (values.str.lower() == "nan"), values, "a number")
    return numbers.astype("float64")


def _numbers(values: "pd.Series[str]") -> pd.Series:
    """The float64 of texts; NaN for an empty one and for what is no number. Both parsers round to the nearest."""
    import pyarrow as pa
    from pyarrow import compute

    texts = pa.array(values, pa.large_string())
    texts = compute.if_else(compute.equal(texts, ""), "nan", texts)
    try:
        parsed = compute.cast(texts, pa.float64())
    except pa.ArrowInvalid:  # signs, spaces and what is no number are left to pandas
        return pd.to_numeric(values.where(values != "", "nan"), errors="coerce")
    return pd.Series(parsed.to_numpy(), values.index, name=values.name)
