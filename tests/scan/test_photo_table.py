import sys

import numpy as np
import pandas as pd
import pytest

from stages.scan.photo_table import read_table
from stages.scan.rows import BOX, COLUMNS, LayoutError
from stages.sources.settings import ColumnSettings

DEFAULT = ColumnSettings()


def read(text, name="photos.csv", labelled=True, **columns):
    content = text if isinstance(text, bytes) else text.encode()
    return read_table(name, content, ColumnSettings(**columns), labelled)


def error(text, name="photos.csv", **options):
    with pytest.raises(LayoutError) as caught:
        read(text, name, **options)
    message = str(caught.value)
    assert message.startswith(name) and "\n" not in message
    return message


def test_paths_and_labels_come_back_in_the_order_of_the_file():
    found = read("path,label\nb.jpg,car\na.jpg,bus\n")
    assert found.unused == [] and list(found.rows.columns) == list(COLUMNS)
    assert found.rows[["path", "label", "split", "group", "reason"]].values.tolist() == [
        ["b.jpg", "car", "", "", ""],
        ["a.jpg", "bus", "", "", ""],
    ]
    assert np.isnan(found.rows[BOX].to_numpy()).all()


@pytest.mark.parametrize(
    "text",
    [
        b"\xef\xbb\xbfpath,label\r\na b.jpg,Mini\r\n",
        b"path,label\ra b.jpg,Mini\r",
        b"path,label\n\n\n a b.jpg,Mini\n,\n \n\n".replace(b"\n a", b"\na"),
        b" path , label \na b.jpg,Mini",
        b"path, label\na b.jpg, Mini\n",
        b'path, label\n"a b.jpg", "Mini"\n',
        b'"path","label"\n"a b.jpg","Mini"\n',
        b"label,path\nMini,a b.jpg\n",
    ],
)
def test_byte_order_marks_line_ends_blank_lines_spaces_and_quotes(text):
    assert read(text).rows[["path", "label"]].values.tolist() == [["a b.jpg", "Mini"]]


def test_values_stay_as_they_are_written():
    labels = ["None", "NA", "nan", "null", "007", "1.0", "1e5", "True", " spaced", "Škoda", 'say "hi"', "a,b", "x\ny"]
    quoted = ['"' + label.replace('"', '""') + '"' for label in labels]
    text = "path,label\n" + "".join(f"{n}.jpg,{label}\n" for n, label in enumerate(quoted))
    assert read(text).rows["label"].tolist() == labels


@pytest.mark.parametrize("path", ["/a.jpg", "../a.jpg", "c\\a.jpg", "C:\\a.jpg", "./a.jpg", " a.jpg"])
def test_paths_are_left_to_the_caller(path):
    assert read(f"path,label\n{path},car\n").rows["path"].tolist() == [path]


def test_tabs_separate_a_tsv():
    found = read("path\tlabel\na,b.jpg\tcar, red\n", "photos.TSV")
    assert found.rows[["path", "label"]].values.tolist() == [["a,b.jpg", "car, red"]]


def test_an_empty_label_is_a_reason_of_labelled_sources():
    assert read("path,label\na,\nb, \nc,car\n").rows["reason"].tolist() == ["no_label", "no_label", ""]
    assert read("path,label\na,\n", labelled=False).rows["reason"].tolist() == [""]


def test_an_unlabelled_source_needs_no_label():
    found = read("path,size\na,5\n", labelled=False)
    assert found.rows["label"].tolist() == [""] and found.unused == ["size"]


def test_columns_that_are_not_used_are_returned():
    assert read(",path,label,score,\n0,a,car,1,\n").unused == ["column 1", "score", "column 5"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (b"", ["empty file"]),
        (b"\n \n", ["empty file"]),
        (b"path,label\n", ["expected rows", "none"]),
        (b"path,label\na\n", ["row 2", "2 cells", "found 1"]),
        (b"path,label\n\n\na,b,c\n", ["row 4", "2 cells", "found 3"]),
        (b'path,label\n"a\nb",car\nc\n', ["row 4", "found 1"]),
        (b'path,label\nx,y\n"a,b\n', ["row 3"]),
        (b'path,label\n"a"b,c\n', ["row 2"]),
        (b"path,label\nx,y\n,car\n", ["row 3", "path", "none"]),
        (b"path,label\nx,caf\xe9\n", ["row 2", "UTF-8", "0xe9"]),
        ("path,label\nx,y\n".encode("utf-16"), ["UTF-8", "UTF-16"]),
        (b"PK\x03\x04rest", ["Excel"]),
        (b"path;label\na.jpg;car\n", ["commas", "semicolons", "'path;label'"]),
        (b"path\tlabel\na.jpg\tcar\n", ["commas", "tabs", ".tsv"]),
        (b"cars/a.jpg,car\nb.jpg,bus\n", ["header", "'cars/a.jpg,car'", "path,label"]),
        (b"path,label,label\na,b,c\n", ["`label` twice"]),
    ],
)
def test_what_is_no_table_is_refused_with_what_was_found(text, parts):
    message = error(text)
    assert all(part in message for part in parts), message


def test_commas_in_a_tsv_and_other_endings_are_refused():
    message = error("path,label\na.jpg,car\n", "photos.tsv")
    assert "tabs" in message and "commas" in message
    assert "found .xlsx" in error("x", "photos.xlsx") and "no ending" in error("x", "photos")


@pytest.mark.parametrize(
    ("header", "parts"),
    [
        ("image,label", ["`path`", "`image`, `label`", "ingest.columns.path: image"]),
        ("Path,label", ["ingest.columns.path: Path"]),
        ("path,class", ["`label`", "`path`, `class`", "ingest.columns.label: class"]),
        ("path,Label", ["ingest.columns.label: Label"]),
        ("path,zzz", ["set ingest.columns.label to the name of one"]),
    ],
)
def test_a_missing_column_is_named_with_the_nearest_and_the_parameter(header, parts):
    message = error(f"{header}\na.jpg,car\n")
    assert all(part in message for part in parts), message


def test_the_columns_are_those_of_the_settings():
    found = read("file,make,part,day,path\na,car,train,7,x\n", path="file", label="make", split="part", group="day")
    assert found.rows[["path", "label", "split", "group"]].values.tolist() == [["a", "car", "train", "7"]]
    assert found.unused == ["path"]


def test_splits_are_read_by_any_of_their_names_and_groups_as_text():
    found = read("path,label,split,group\na,x,Train,1\nb,x,valid,\nc,x,testing,01\n").rows
    assert found["split"].tolist() == ["train", "val", "test"] and found["group"].tolist() == ["1", "", "01"]
    assert read("path,label,split\na,x,\nb,x, \n").rows["split"].tolist() == ["", ""]


@pytest.mark.parametrize(
    ("value", "part"), [("", "fill it in"), (" ", "fill it in"), ("fold1", "'fold1'"), ("0", "'0'")]
)
def test_a_value_that_is_no_split_is_refused_with_its_row(value, part):
    message = error(f"path,label,split\na,x,train\n\nb,x,{value}\n")
    assert "row 4" in message and part in message and "ingest.columns.split: null" in message


@pytest.mark.parametrize(
    ("column", "role"),
    [("subset", "split"), ("fold", "split"), ("set", "split"), ("Dataset Split", "split"), ("Split", "split"),
     ("partition", "split"), ("group_id", "group"), ("Group", "group")],
)  # fmt: skip
def test_a_column_that_looks_like_a_split_or_group_is_refused_with_both_readings(column, role):
    text = f"path,label,{column}\na,x,train\n"
    message = error(text)
    assert f"ingest.columns.{role}: {column};" in message and f"ingest.columns.{role}: null" in message
    assert read(text, **{role: column}).rows[role].tolist() == ["train"]
    assert read(text, **{role: None}).unused == [column]


def test_beside_a_split_another_column_is_no_split():
    assert read("path,label,split,subset,group,cluster\na,x,val,small,g,1\n").unused == ["subset", "cluster"]


def test_a_lookalike_that_has_another_purpose_is_no_split():
    assert read("path,set\na,x\n", label="set").rows["label"].tolist() == ["x"]


def test_origins_are_read_from_the_column_that_the_settings_name():
    text = "path,label,dealer\na,x, Autos \nb,x,\nc,y,007\n"
    found = read(text, origin="dealer")
    assert found.rows["origin"].tolist() == ["Autos", "", "007"] and found.unused == []
    assert (read(text).rows["origin"] == "").all() and read(text).unused == ["dealer"]
    message = error(text, origin="deeler")
    assert "expected a column `deeler`" in message and "ingest.columns.origin: dealer" in message


def test_photos_to_predict_need_no_origin_and_no_time():
    found = read("path\na.jpg\n", labelled=False, origin="dealer", time="day").rows
    assert found["origin"].tolist() == [""] and found["time"].isna().all()


def test_boxes_of_one_photo_share_an_origin():
    rows = "path,label,x_min,y_min,x_max,y_max,dealer\na,x,0,0,5,5,{}\na,x,1,1,5,5,anna\n"
    assert "row 3: expected one origin for all rows of a path" in error(rows.format("berg"), origin="dealer")
    assert read(rows.format("anna"), origin="dealer").rows["origin"].tolist() == ["anna"] * 2


@pytest.mark.parametrize("role", ["split", "group"])
def test_a_column_that_the_settings_name_must_be_there(role):
    message = error("path,label\na,x\n", **{role: "mine"})
    assert "`mine`" in message and f"ingest.columns.{role}" in message and "null" in message


BOXES = "path,label,x_min,y_min,x_max,y_max\n"


def test_boxes_of_one_and_of_several_rows():
    found = read(f"{BOXES}a,car,1,2,3.5,4\na,bus,0,0, 9 ,1e1\nb,car,,,,\nc,car,-5,0,5,5\n").rows
    assert found[BOX].fillna(-1).values.tolist() == [[1, 2, 3.5, 4], [0, 0, 9, 10], [-1] * 4, [-5, 0, 5, 5]]
    assert found["reason"].tolist() == [""] * 4


@pytest.mark.parametrize("box", ["5,0,5,9", "5,0,4,9", "0,5,9,5", "0,5,9,4"])
def test_a_box_without_area_is_a_reason(box):
    assert read(f"{BOXES}a,car,{box}\nb,car,0,0,1,1\n").rows["reason"].tolist() == ["bad_box", ""]


@pytest.mark.parametrize(
    ("rows", "parts"),
    [
        ("a,car,1,2,,4\n", ["row 2", "x_min, y_min, x_max, y_max", "'x_max': ''"]),
        ("a,car,1,2,x,4\n", ["row 2", "`x_max`", "'x'"]),
        ("a,car,1,2,nan,4\n", ["row 2", "`x_max`", "'nan'"]),
        ("a,car,1,2,inf,4\n", ["row 2", "`x_max`", "'inf'"]),
        ("a,car,1,2,3,4\nb,car,1,2,3,4\na,car,1,2,3,4\n", ["row 4", "another box", "rows 2 and 4"]),
        ("a,car,1,2,3,4\na,bus,1,2,3,4\n", ["row 3", "another box", "rows 2 and 3"]),
        ("a,car,1,2,3,4\na,car,,,,\n", ["row 3", "each path once", "rows 2 and 3"]),
    ],
)
def test_boxes_that_say_nothing_or_two_things_are_refused(rows, parts):
    message = error(BOXES + rows)
    assert all(part in message for part in parts), message


def test_some_columns_of_boxes_are_refused():
    message = error("path,label,x_min,y_min,x_max\na,car,1,2,3\n")
    assert "no `y_max`" in message


def test_a_repeated_path_is_refused():
    message = error("path,label\na.jpg,car\nb.jpg,car\n\na.jpg,car\n")
    assert "row 2" in message and "'a.jpg'" in message and "rows 2 and 5" in message


@pytest.mark.parametrize("column", ["split", "group"])
def test_boxes_of_one_photo_share_split_and_group(column):
    text = f"path,label,x_min,y_min,x_max,y_max,{column}\na,x,1,2,3,4,train\na,x,2,2,3,4,val\n"
    message = error(text)
    assert f"one {column}" in message and "row 3" in message


def test_input_without_a_package_for_parquet_names_the_package(monkeypatch):
    for name in ("pyarrow", "fastparquet"):
        monkeypatch.setitem(sys.modules, name, None)
    message = error(b"PAR1", "photos.parquet")
    assert "pyarrow" in message


def test_parquet_keeps_numbers_and_missing_values(tmp_path):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"path": ["a", "b", "c"], "label": [7, None, 8], "group": ["01", None, "NA"]})
    frame.astype({"label": "Int64"}).to_parquet(tmp_path / "t.parquet")
    found = read((tmp_path / "t.parquet").read_bytes(), "photos.parquet").rows
    assert found["label"].tolist() == ["7", "", "8"] and found["group"].tolist() == ["01", "", "NA"]
    assert found["reason"].tolist() == ["", "no_label", ""]


def test_a_broken_parquet_and_one_with_lists_are_refused(tmp_path):
    pytest.importorskip("pyarrow")
    assert "expected a Parquet file" in error(b"PAR1nonsense", "photos.parquet")
    pd.DataFrame({"path": ["a"], "label": [[1, 2]]}).to_parquet(tmp_path / "t.parquet")
    message = error((tmp_path / "t.parquet").read_bytes(), "photos.parquet")
    assert "row 1" in message and "`label`" in message


def test_two_purposes_of_one_column_are_refused():
    with pytest.raises(ValueError, match="another column for each purpose"):
        ColumnSettings(path="file", label="file")


def test_spaces_around_a_group_are_no_part_of_it_and_a_blank_one_is_none():
    found = read("path,label,group\na,x, \nb,x,g \nc,x,\td\n").rows
    assert found["group"].tolist() == ["", "g", "d"]


def test_a_parquet_whose_index_repeats_a_column_is_refused(tmp_path):
    frame = pd.DataFrame({"path": ["a"], "label": ["x"]})
    frame.set_index("path", drop=False).to_parquet(tmp_path / "t.parquet")
    assert "found `path` as the index, too" in error((tmp_path / "t.parquet").read_bytes(), "photos.parquet")
    frame.set_index("path").to_parquet(tmp_path / "t.parquet")
    assert read((tmp_path / "t.parquet").read_bytes(), "photos.parquet").rows["path"].tolist() == ["a"]
