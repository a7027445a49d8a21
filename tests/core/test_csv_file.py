import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stages.core import csv_file, tables
from stages.core.errors import TableError

TEXT = st.text(st.characters(exclude_characters="\r", exclude_categories=("Cs",)))


@given(st.lists(st.tuples(TEXT, st.floats(allow_infinity=False), st.integers(0, 99))))
def test_a_table_has_the_bytes_that_pandas_writes(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("tables")
    frame = pd.DataFrame(rows, columns=["path", "probability", "n, of all"])
    tables.write(folder / "pandas.csv", frame)
    csv_file.write(folder / "ours.csv", {str(name): frame[name].tolist() for name in frame})
    assert (folder / "ours.csv").read_bytes() == (folder / "pandas.csv").read_bytes()


def test_cells_by_hand():
    columns = {"name": ['a "b"', "c,d", ""], "share": [0.1, math.nan, np.float64(1e-7)]}
    assert csv_file.to_text(columns) == 'name,share\n"a ""b""",0.1\n"c,d",\n,1e-07\n'
    assert csv_file.to_text({"a": [], "b": []}) == "a,b\n"
    with pytest.raises(ValueError, match="longer"):
        csv_file.to_text({"a": [1], "b": [1, 2]})


def test_a_carriage_return_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(TableError, match=r"t\.csv: column `b`, row 3: expected no carriage return, found 'x\\ry'"):
        csv_file.write(tmp_path / "t.csv", {"a": [1, 2], "b": ["", "x\ry"]})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        b"id,path\n1,a.jpg\n2,b.jpg\n",
        b"\xef\xbb\xbfpath\r\na.jpg\r\n\r\nb.jpg",
        b'path,"two\nlines"\n"a.jpg","x,\ny"\nb.jpg\n',
        b"path,path\na.jpg,c\nb.jpg,d\n",
    ],
)
def test_a_column_is_read_as_pandas_reads_it(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    assert csv_file.read_column(tmp_path / "t.csv", "path") == ["a.jpg", "b.jpg"]
    assert tables.read(tmp_path / "t.csv", {"path": "str"})["path"].tolist() == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "expected a table here, found none"),
        (b"", "expected a column `path`, found none"),
        (b"file,x\na,b\n", "expected a column `path`, found file, x"),
        (b"path\n\na, b.jpg\n", "line 3: expected 1 cells, found 2; quote cells that have commas"),
        (b'path\n"a.jpg\n', "expected a CSV table, found"),
        (b"path\n\xff\n", "expected a CSV table, found"),
    ],
)
def test_what_is_no_such_table_is_an_error_that_names_the_file(tmp_path, content, message):
    if content is not None:
        (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(TableError, match=rf"t\.csv: {message}"):
        csv_file.read_column(tmp_path / "t.csv", "path")
