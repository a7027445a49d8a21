import numpy as np
import pandas as pd
import pytest

from stages.core import tables
from stages.core.errors import TableError

NAMES = [
    "None",
    "nan",
    "NA",
    "null",
    "",
    "a,b",
    'say "hi"',
    "it's",
    " spaced ",
    "Škoda Октавия",
    "1",
    "01",
    "1e5",
    "True",
    "#x",
]


def write(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_text_of_any_kind_comes_back_as_it_was(tmp_path):
    frame = pd.DataFrame({"label": NAMES, "n": range(len(NAMES))})
    tables.write(tmp_path / "t.csv", frame)
    found = tables.read(tmp_path / "t.csv", {"label": "str", "n": "int"})
    assert found["label"].tolist() == NAMES and found["n"].tolist() == list(range(len(NAMES)))


@pytest.mark.parametrize("name", ["line\nbreak", "tab\t"])
def test_names_with_line_breaks_come_back_as_they_were(tmp_path, name):
    tables.write(tmp_path / "t.csv", pd.DataFrame({"path": [name, "b"], "n": [1, 2]}))
    assert tables.read(tmp_path / "t.csv", {"path": "str", "n": "int"})["path"].tolist() == [name, "b"]


def test_a_carriage_return_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(TableError, match=r"t\.csv: column `path`, row 3: expected no carriage return, found 'b\\rc'"):
        tables.write(tmp_path / "t.csv", pd.DataFrame({"path": ["a", "b\rc"], "n": [1, 2]}))
    assert list(tmp_path.iterdir()) == []


def test_floats_come_back_to_the_last_bit_and_equal_tables_are_equal_bytes(tmp_path):
    values = np.random.default_rng(0).standard_normal(2000) * 10.0 ** np.random.default_rng(1).integers(-30, 30, 2000)
    values[:4] = [0.1, 1 / 3, 5e-324, np.nan]
    frame = pd.DataFrame({"x": values})
    before = frame.copy()
    tables.write(tmp_path / "a.csv", frame)
    tables.write(tmp_path / "b.csv", frame.copy())
    np.testing.assert_array_equal(tables.read(tmp_path / "a.csv", {"x": "float"})["x"].to_numpy(), values)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    pd.testing.assert_frame_equal(frame, before)


def test_columns_come_in_the_given_order_with_their_types(tmp_path):
    path = write(tmp_path, "b,other,a,t,f\n1,x,2.5,007,True\n-3,y,,None,False\n")
    found = tables.read(path, {"a": "float", "b": "int", "t": "str", "f": "bool"})
    assert found.columns.tolist() == ["a", "b", "t", "f"]
    assert (
        found["b"].tolist() == [1, -3]
        and found["t"].tolist() == ["007", "None"]
        and found["f"].tolist() == [True, False]
    )
    assert found["a"][0] == 2.5 and np.isnan(found["a"][1])
    assert found["b"].dtype == np.int64 and found["f"].dtype == bool


def test_a_table_without_rows_has_its_columns_and_types(tmp_path):
    found = tables.read(write(tmp_path, "a,b,c,d\n"), {"a": "str", "b": "int", "c": "float", "d": "bool"})
    assert (
        len(found) == 0 and found["b"].dtype == np.int64 and found["c"].dtype == np.float64 and found["d"].dtype == bool
    )


@pytest.mark.parametrize(
    ("kind", "bad"),
    [("int", ""), ("int", "1.5"), ("int", "x"), ("int", "inf"), ("int", "nan"), ("int", "1e30"), ("float", "x"),
     ("float", "1,5"), ("float", "None"), ("bool", "true"), ("bool", "1"), ("bool", "")],
)  # fmt: skip
def test_a_bad_value_is_refused_with_file_column_row_and_value(tmp_path, kind, bad):
    good = {"int": "1", "float": "1", "bool": "True"}[kind]
    path = tmp_path / "table.csv"
    tables.write(path, pd.DataFrame({"id": ["a", "b", "c"], "x": [good, bad, bad]}))
    with pytest.raises(TableError) as caught:
        tables.read(path, {"x": kind})
    for part in (str(path), "`x`", "row 3", repr(bad)):
        assert part in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"a\n1,2,3\n4\n", b"a\n\xff\xfe\n", b'a\n"open\n', b"\x00", b"\r\x00"])
def test_a_file_that_is_no_table_is_refused_by_name(tmp_path, content):
    with pytest.raises(TableError, match=r"table\.csv"):
        tables.read(write(tmp_path, content), {"a": "int"})


def test_a_missing_file_and_a_missing_column_are_refused_by_name(tmp_path):
    with pytest.raises(TableError, match=r"none\.csv.*dvc repro"):
        tables.read(tmp_path / "none.csv", {"a": "int"})
    with pytest.raises(TableError, match=r"table\.csv: expected a column `b`, found a, c"):
        tables.read(write(tmp_path, "a,c\n1,2\n"), {"a": "int", "b": "str"})


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    path = write(tmp_path, b"\xef\xbb\xbfpath,label\na.jpg,car\n")
    assert tables.read(path, {"path": "str", "label": "str"}).values.tolist() == [["a.jpg", "car"]]


def test_require_names_the_first_bad_row_as_an_editor_counts_it():
    values = pd.Series([1, 5, 7], name="n")
    tables.require("f.csv", values > 0, values, "more than 0")
    tables.require("f.csv", values[:0] > 0, values[:0], "more than 0")
    with pytest.raises(TableError, match=r"f\.csv: column `n`, row 3: expected at most 4, found .*5"):
        tables.require("f.csv", values <= 4, values, "at most 4")


def test_tables_of_different_photos_are_refused():
    one = pd.DataFrame({"image_id": ["1", "2"], "path": ["a", "b"], "x": [0, 1]})
    tables.require_same_rows("a.csv", one, "b.csv", one.drop(columns="x"))
    for other in (one.iloc[::-1].reset_index(drop=True), one.iloc[:1], one.assign(path=["a", "c"])):
        with pytest.raises(TableError, match=r"a\.csv.*b\.csv"):
            tables.require_same_rows("a.csv", one, "b.csv", other)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('a,b\n"x, y",1\n"say ""no""",\n', [["x, y", "1"], ['say "no"', ""]]),
        ('a,b\n"two\nlines",1\n', [["two\nlines", "1"]]),
        ("a,b\r\nx,1\r\n", [["x", "1"]]),
        ("a,b\nx,1", [["x", "1"]]),
        ("a,b\n\nx,1\n", [["x", "1"]]),
        ("a,b\nNA,null\n", [["NA", "null"]]),
        ("a,b\n", []),
    ],
)
def test_a_table_is_read_alike_by_both_readers(tmp_path, text, expected):
    path = write(tmp_path, text)
    assert tables.read_text(path).values.tolist() == expected
    read = pd.concat(tables._read_arrow(path, tables._names(path)), ignore_index=True)
    pd.testing.assert_frame_equal(read, tables._read_pandas(path))


@pytest.mark.parametrize(
    "text", ["a,b\nx\n", "a,a\nx,1\n", "a\nx\n", '"a\nb",c\nx,1\n', 'x,"a\nb",c\n1,2,3\n', "a,\nx,1\n", ""]
)
def test_what_only_pandas_reads_is_left_to_it(tmp_path, text):
    path = write(tmp_path, text)
    with pytest.raises(ValueError):
        list(tables._read_arrow(path, tables._names(path)))


def test_numbers_in_any_notation_are_the_nearest_float(tmp_path):
    path = write(tmp_path, "x,n\n+1, 2\n1e-5,-0\n.5,1e3\ninf,7.0\n,0\nNaN,1\n")
    frame = tables.read(path, {"x": "float", "n": "int"})
    np.testing.assert_array_equal(frame["x"], [1, 1e-5, 0.5, np.inf, np.nan, np.nan])
    assert frame["n"].tolist() == [2, 0, 1000, 7, 0, 1] and frame["n"].dtype == "int64"


@pytest.fixture
def long(tmp_path, monkeypatch):
    """The path of a table of 200 rows, which is read in many parts."""
    monkeypatch.setattr(tables, "_BLOCK_BYTES", 64)
    numbers = range(200)
    path = tmp_path / "long.csv"
    frame = pd.DataFrame({"id": [f"photo {n}" for n in numbers], "x": [n / 4 for n in numbers], "n": numbers})
    tables.write(path, frame)
    return path


def test_a_table_in_many_parts_is_one(long):
    found = tables.read(long, {"x": "float", "id": "str"})
    assert found["x"].tolist() == [n / 4 for n in range(200)] and found["id"][199] == "photo 199"
    assert found.index.tolist() == list(range(200)) and len(list(tables._typed_parts(long, {"n": "int"}))) > 10
    assert tables.read_text(long)["n"].tolist() == [str(n) for n in range(200)]


def test_the_row_of_a_bad_value_counts_from_the_first_part(long):
    long.write_text(long.read_text().replace("photo 150,37.5,150", "photo 150,37.5,many"))
    with pytest.raises(TableError, match=r"long\.csv: column `n`, row 152: expected a whole number, found 'many'"):
        tables.read(long, {"n": "int"})
    assert tables.read(long, {"x": "float"})["x"][150] == 37.5


def test_a_short_row_after_some_parts_is_left_to_pandas(long):
    long.write_text(long.read_text().replace("photo 150,37.5,150", "photo 150,37.5"))
    assert tables.read(long, {"id": "str", "x": "float"})["x"].tolist() == [n / 4 for n in range(200)]
    with pytest.raises(TableError, match=r"column `n`, row 152: expected a whole number"):
        tables.read(long, {"n": "int"})


def test_a_table_is_written_in_parts_and_an_empty_one_first_gives_the_names(tmp_path):
    parts = [pd.DataFrame({"a": names, "n": range(len(names))}) for names in ([], ["x"], ["y", "z"])]
    tables.write_parts(tmp_path / "t.csv", iter(parts))
    assert (tmp_path / "t.csv").read_text() == "a,n\nx,0\ny,0\nz,1\n"
    with pytest.raises(TableError, match=r"column `a`, row 4: expected no carriage return"):
        tables.write_parts(tmp_path / "bad.csv", [*parts[:2], pd.DataFrame({"a": ["y", "\r"], "n": [0, 1]})])
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_records_are_the_rows_of_the_given_numbers_in_their_order(monkeypatch):
    monkeypatch.setattr(tables.batches, "ROWS_AT_ONCE", 2)
    frame = pd.DataFrame({"a": list("xyz"), "n": [1, 2, 3]}, index=[7, 8, 9])
    assert list(tables.records(frame, iter([2, 0, 1]))) == [
        {"a": "z", "n": 3},
        {"a": "x", "n": 1},
        {"a": "y", "n": 2},
    ]
    assert list(tables.records(frame, [])) == []


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ([], False), (["a"], False), (["a", "b", "ä"], False), (["b", "a"], False), (["", ""], True),
        (["a", "a"], True), (["b", "a", "b"], True), (["a", "b", "b", "c"], True),
    ],
)  # fmt: skip
def test_a_repeated_text_is_found_in_any_order(texts, expected):
    assert tables.has_repeated(pd.Series(texts, dtype=str)) is expected
