"""CSV tables between stages: written in a fixed format, checked when read."""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from csv import Error as CsvError
from csv import reader as iter_csv
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages.core import atomic, batches, memory
from stages.core.errors import TableError

# No text is read as a missing value: a class may be called "None", "NA" or "nan".
_TEXT_KINDS = ("str", "string")
# Integers are parsed as floats, which represent every integer up to this one.
_MAX_INT = 2**53
# Of a file that are read at once.
_BLOCK_BYTES = 2**18


def write(path: Path, frame: pd.DataFrame) -> None:
    """Write `frame` without its index; floats in the shortest form that reads back to the same value.

    Raises TableError on a carriage return, which pandas writes bare and reads as the end of a row.
    """
    write_parts(path, [frame])


def write_parts(path: Path, parts: Iterable[pd.DataFrame]) -> None:
    """As `write`, a table whose rows come in one part or more of the same columns, one after another."""
    before = 0
    with atomic.replacing(path) as temporary:
        for number, part in enumerate(parts):
            for name in part.columns[[pd.api.types.is_string_dtype(kind) for kind in part.dtypes]]:
                is_whole = ~part[name].astype(str).str.contains("\r", regex=False)
                require(path, is_whole, part[name], "no carriage return", before)
            size = batches.ROWS_AT_ONCE
            part.to_csv(temporary, mode="a", header=number == 0, index=False, lineterminator="\n", chunksize=size)
            before += len(part)


def read(path: Path, columns: Mapping[str, str]) -> pd.DataFrame:
    """Read a table and check that it has `columns`, a mapping of name to "str", "int", "float" or "bool".

    Columns come back in the given order; others are left out. Empty cells are "" in text columns and NaN in
    float columns. Raises TableError naming the file, the column and the first bad value.
    """
    try:
        parts = list(_typed_parts(path, columns))
    # Arrow takes no short rows and no two columns of one name: pandas does, or says why not.
    except (OSError, ValueError, CsvError):
        text = _read_pandas(path)
        _require_columns(path, text.columns, columns)
        parts = [_typed(path, text, columns)]
    frame = parts[0] if len(parts) == 1 else pd.concat(parts, ignore_index=True)
    del parts
    memory.release()
    return frame


def read_text(path: Path) -> pd.DataFrame:
    """Read a CSV table, UTF-8 with or without byte order mark, all cells as text; empty cells are "".

    Raises TableError naming the file.
    """
    try:
        return pd.concat(_read_arrow(path, _names(path)), ignore_index=True)
    except (OSError, ValueError, CsvError):
        return _read_pandas(path)


def _typed_parts(path: Path, columns: Mapping[str, str]) -> Iterator[pd.DataFrame]:
    """The rows of `read` in parts, of which each is text no longer than it is needed.

    Raises OSError, ValueError or csv.Error for what only pandas may read.
    """
    names = _names(path)
    _require_columns(path, names, columns)
    before = 0
    for text in _read_arrow(path, names, list(columns)):
        yield _typed(path, text, columns, before)
        before += len(text)
        del text
        memory.release()


def _names(path: Path) -> list[str]:
    """The names of the columns. Raises OSError, ValueError or csv.Error for what only pandas may read."""
    with path.open("rb") as file:
        names = next(iter_csv([file.readline().decode("utf-8-sig")]), [])
    if len(set(names)) != len(names) or "" in names or len(names) < 2 or any("\n" in name for name in names):
        raise ValueError(f"{path}: expected a name of its own for each of two columns or more")
    return names


def _read_arrow(path: Path, names: list[str], wanted: list[str] | None = None) -> Iterator[pd.DataFrame]:
    """The rows, as text, in parts, at several times pandas' speed; `wanted`: some columns.

    Raises OSError or ValueError for what only pandas may read.
    """
    # Imported here: it takes a tenth of a second, and not every process reads a table.
    import pyarrow as pa
    from pyarrow import csv

    text = pd.StringDtype(na_value=np.nan)
    types = dict.fromkeys(names, pa.large_string())
    reader = csv.open_csv(
        path,
        read_options=csv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(column_types=types, include_columns=wanted, strings_can_be_null=False),
    )
    if wanted is None and reader.schema.names != names:
        raise ValueError(f"{path}: expected the columns {names}")
    # A table without rows has one part, too.
    for part in chain([pa.RecordBatch.from_pylist([], reader.schema)], reader):
        yield pd.DataFrame({name: pd.array(part[name], dtype=text) for name in part.schema.names})


def _read_pandas(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise TableError(f"{path}: expected a table here, found none; run `dvc repro`") from None
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise TableError(f"{path}: expected a CSV table, found: {error}") from None


def records(frame: pd.DataFrame, numbers: Iterable[int]) -> Iterator[dict[Hashable, Any]]:
    """Yield rows, given by their numbers, as dictionaries by column: not all at once, for each takes a kilobyte."""
    for some in batches.batched(numbers, batches.ROWS_AT_ONCE):
        yield from frame.iloc[some].to_dict("records")


def has_repeated(values: "pd.Series[str]") -> bool:
    """Whether a text occurs twice. By Arrow: as Python values the texts take several times the memory."""
    import pyarrow as pa
    from pyarrow import compute

    texts = pa.array(values, pa.large_string())
    if len(texts) < 2 or compute.all(compute.less(texts[:-1], texts[1:])).as_py():  # sorted, as tables by image id are
        return False
    return bool(compute.count_distinct(texts).as_py() < len(texts))


def require_unique(path: Path, values: "pd.Series[str]", rule: str, among: "pd.Series[bool] | None" = None) -> None:
    """Raise TableError with the first of `values` that stands before; `rule` is what was expected.

    Where given, `among` says which rows count.
    """
    if has_repeated(values if among is None else values[among]):
        is_repeated = values.duplicated() if among is None else values.where(among).duplicated() & among
        require(path, ~is_repeated, values, rule)


def require(path: Path, good: "pd.Series[bool]", values: "pd.Series", rule: str, before: int = 0) -> None:
    """Raise TableError with the first of `values` for which `good` is false; `rule` is what was expected.

    There are rows `before` them in the file.
    """
    if not good.all():
        row = int((~good).to_numpy().argmax())
        value = values.iloc[row]
        raise TableError(f"{path}: column `{values.name}`, row {before + row + 2}: expected {rule}, found {value!r}")


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


def _require_columns(path: Path, names: Iterable[str], columns: Mapping[str, str]) -> None:
    missing = [name for name in columns if name not in names]
    if missing:
        raise TableError(f"{path}: expected a column `{missing[0]}`, found {', '.join(names)}")


def _typed(path: Path, text: pd.DataFrame, columns: Mapping[str, str], before: int = 0) -> pd.DataFrame:
    """The `columns` of a table of texts with their types; there are rows `before` them in the file."""
    return pd.DataFrame({name: _parse(path, text[name], kind, before) for name, kind in columns.items()})


def _parse(path: Path, values: "pd.Series[str]", kind: str, before: int) -> pd.Series:
    if kind in _TEXT_KINDS:
        return values
    if kind == "bool":
        require(path, values.isin(["True", "False"]), values, "True or False", before)
        return values == "True"
    numbers = _numbers(values)
    if kind == "int":
        is_whole = (numbers % 1 == 0) & (numbers.abs() < _MAX_INT)
        require(path, is_whole, values, "a whole number", before)
        return numbers.astype("int64")
    require(path, numbers.notna() | (values == "") | (values.str.lower() == "nan"), values, "a number", before)
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
