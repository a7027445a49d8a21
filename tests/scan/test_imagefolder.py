import json

import pandas as pd
import pytest

from stages.scan.imagefolder import metadata_files, read_imagefolder
from stages.scan.rows import BOX, COLUMNS, LayoutError
from stages.sources.settings import ColumnSettings


def read(files, labelled=True, **columns):
    """The rows of a source whose files are texts, bytes, or lists of objects for JSON lines."""
    contents = {
        path: "\n".join(map(json.dumps, content)).encode()
        if isinstance(content, list)
        else content.encode()
        if isinstance(content, str)
        else content
        for path, content in files.items()
    }
    return read_imagefolder(list(files), contents.__getitem__, ColumnSettings(**columns), labelled)


def values(frame, *columns):
    return frame[list(columns or ("path", "label", "split", "reason"))].values.tolist()


def error(files, **options):
    with pytest.raises(LayoutError) as caught:
        read(files, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_metadata_files_lie_at_the_top_and_in_folders_of_splits():
    paths = ["train/metadata.csv", "valid/metadata.jsonl", "metadata.parquet", "car/metadata.csv",
             "x/train/metadata.csv", "train/sub/metadata.csv", "train/other.csv", "test/a.jpg"]  # fmt: skip
    assert metadata_files(paths) == ["metadata.parquet", "train/metadata.csv", "valid/metadata.jsonl"]
    assert metadata_files([]) == []


def test_two_metadata_files_in_a_folder_are_refused_with_both():
    with pytest.raises(LayoutError, match=r"^train/metadata\.jsonl: .*train/metadata\.csv"):
        metadata_files(["train/metadata.jsonl", "train/metadata.csv"])


def test_without_metadata_it_is_no_imagefolder():
    assert "metadata.csv" in error({"car/a.jpg": ""})


def test_photos_of_a_csv_with_those_missing_and_those_not_listed():
    files = {
        "metadata.csv": "file_name,label,text\nb.jpg,car,x\nsub/a.jpg,007,x\ngone.jpg,car,x\nc.jpg,,x\n",
        "c.jpg": "", "b.jpg": "", "sub/a.jpg": "", "sub/z.jpg": "", "README.md": "",
    }  # fmt: skip
    found = read(files)
    assert list(found.columns) == list(COLUMNS)
    assert values(found) == [
        ["b.jpg", "car", "", ""],
        ["sub/a.jpg", "007", "", ""],
        ["gone.jpg", "car", "", "missing"],
        ["c.jpg", "", "", "no_label"],
        ["README.md", "", "", "not_listed"],
        ["sub/z.jpg", "", "", "not_listed"],
    ]


def test_names_are_relative_to_the_metadata_and_splits_those_of_the_folders():
    files = {
        "train/metadata.csv": "file_name,label\n./a.jpg,car\n",
        "train/a.jpg": "",
        "Validation/metadata.jsonl": [{"file_name": "a.jpg", "label": 3}],
        "Validation/a.jpg": "",
    }
    assert values(read(files)) == [["Validation/a.jpg", "3", "val", ""], ["train/a.jpg", "car", "train", ""]]


def test_a_metadata_file_at_the_top_names_photos_in_folders_of_splits():
    files = {"metadata.csv": "file_name,label\ntest/a.jpg,car\nb.jpg,car\n", "test/a.jpg": "", "b.jpg": ""}
    assert read(files)["split"].tolist() == ["test", ""]


def test_origins_of_a_column():
    content = {"metadata.csv": "file_name,label,dealer\na,car,anna\nb,car,\n", "a": "", "b": ""}
    assert read(content, origin="dealer")["origin"].tolist() == ["anna", ""]


def test_splits_and_groups_of_columns():
    found = read({"metadata.csv": "file_name,make,split,group\na,car,valid,7\n", "a": ""}, label="make")
    assert values(found, "label", "split", "group") == [["car", "val", "7"]]


def test_split_of_folder_and_column_that_differ_are_refused_with_both():
    files = {"train/metadata.csv": "file_name,label,split\na,car,train\nb,car,val\n", "train/a": "", "train/b": ""}
    message = error(files)
    assert message.startswith("train/metadata.csv: row 3: ") and "found val" in message and "'train/b'" in message
    assert read(files, split=None)["split"].tolist() == ["train", "train"]


def test_a_column_that_looks_like_a_split_is_refused_unless_the_folder_gives_it():
    text = "file_name,label,subset\na,car,x\n"
    assert "ingest.columns.split: subset" in error({"metadata.csv": text, "a": ""})
    assert read({"train/metadata.csv": text, "train/a": ""})["split"].tolist() == ["train"]


@pytest.mark.parametrize(
    ("label", "text"),
    [(3, "3"), ("3", "3"), (1.0, "1.0"), (True, "True"), ("NA", "NA"), (None, ""), ("", ""), (" ", ""),
     (10**30, "1" + "0" * 30)],
)  # fmt: skip
def test_labels_of_json_lines_stay_as_written(label, text):
    found = read({"metadata.jsonl": [{"file_name": "a", "label": label}], "a": ""})
    assert values(found, "label", "reason") == [[text, "" if text else "no_label"]]


def test_a_key_that_some_json_lines_lack_is_a_missing_value():
    found = read({"metadata.jsonl": [{"file_name": "a"}, {"label": "car", "file_name": "b"}], "a": "", "b": ""})
    assert values(found, "label", "reason") == [["", "no_label"], ["car", ""]]


@pytest.mark.parametrize(
    "objects",
    [
        {"bbox": [[10, 20, 5, 6.5], [0, 0, 0, 5]], "categories": [0, "bus"], "area": [30, 0]},
        {"bbox": [[10, 20, 5, 6.5], [0, 0, 0, 5]], "category": [0, "bus"]},
        [{"bbox": [10, 20, 5, 6.5], "category": 0}, {"bbox": [0, 0, 0, 5], "category": "bus"}],
    ],
)
def test_objects_give_a_row_for_each_box(objects):
    found = read({"metadata.jsonl": [{"file_name": "a", "objects": objects}], "a": ""})
    assert values(found, "path", "label", *BOX, "reason") == [
        ["a", "0", 10, 20, 15, 26.5, ""],
        ["a", "bus", 0, 0, 0, 5, "bad_box"],
    ]


def test_boxes_without_categories_have_the_label_of_the_photo():
    lines = [{"file_name": "a", "label": "car", "objects": {"bbox": [[1, 2, 3, 4], [5, 6, 7, 8]]}},
             {"file_name": "b", "label": "bus", "objects": None}]  # fmt: skip
    found = read({"metadata.jsonl": lines, "a": "", "b": ""})
    assert values(found.fillna(0), "label", "x_min") == [["car", 1], ["car", 5], ["bus", 0]]


@pytest.mark.parametrize("objects", [None, [], {}, {"bbox": [], "categories": []}])
def test_a_photo_without_objects_has_no_label(objects):
    lines = [
        {"file_name": "a", "objects": objects},
        {"file_name": "b", "objects": {"bbox": [[1, 2, 3, 4]], "category": ["x"]}},
    ]
    assert values(read({"metadata.jsonl": lines, "a": "", "b": ""}), "path", "reason") == [["a", "no_label"], ["b", ""]]


def test_equal_objects_are_counted_and_a_missing_photo_is_missing_first():
    objects = {"bbox": [[1, 2, 3, 4]] * 2 + [[1, 2, 0, 0]], "categories": ["car"] * 3}
    lines = [{"file_name": name, "objects": objects} for name in "ab"]
    assert (
        read({"metadata.jsonl": lines, "a": ""})["reason"].tolist()
        == ["", "duplicate_box", "bad_box"] + ["missing"] * 3
    )


@pytest.mark.parametrize(
    "objects",
    ["text", 5, True, [1], {"bbox": 5}, {"bbox": True}, {"bbox": {"x": 1}}, {"bbox": [[1, 2, 3, 4]], "categories": 5},
     {"bbox": [[1, 2, 3, 4]], "categories": []}, {"bbox": [], "categories": [1]}, {"categories": [1]},
     {"bbox": [[1, 2, 3, 4]], "categories": [[1]]}],
)  # fmt: skip
def test_objects_that_are_no_boxes_are_refused_with_the_row(objects):
    message = error({"metadata.jsonl": [{"file_name": "a", "objects": objects}], "a": ""}, labelled=False)
    assert message.startswith("metadata.jsonl: row 1: ") and "`objects`" in message


def test_labels_of_photos_and_of_objects_are_refused():
    line = {"file_name": "a", "label": "x", "objects": {"bbox": [[1, 2, 3, 4]], "categories": ["y"]}}
    message = error({"metadata.jsonl": [line], "a": ""})
    assert "column `label`" in message and "categories" in message


@pytest.mark.parametrize(
    ("content", "part"),
    [("", "expected rows"), ("\n{}\n5", "row 3"), ('{"file_name": "a"}\n\n{"file', "row 3"), ("[" * 100_000, "row 1"),
     (b"\xff", "row 1"), ('{"x": 1}', "`file_name`, found `x`"), ('{"file_name": ""}', "row 1: expected the path"),
     ('{"file_name": [1]}', "row 1"), ('{"file_name": "a", "label": {}}', "row 1"),
     ('{"file_name": "a", "label": 1}\n{"file_name": "./a", "label": 1}', "row 2: expected each photo once")],
)  # fmt: skip
def test_metadata_that_cannot_be_read_is_refused_by_row(content, part):
    content = content.replace("}", ', "label": 1}') if content == '{"file_name": [1]}' else content
    message = error({"metadata.jsonl": content, "a": ""}, labelled="label" in str(content))
    assert message.startswith("metadata.jsonl: ") and part in message


def test_labels_are_needed_in_labelled_sources_only():
    files = {"metadata.csv": "file_name,clas\na,x\n", "a": ""}
    assert "ingest.columns.label" in error(files)
    assert values(read(files, labelled=False), "label", "reason") == [["", ""]]


def test_a_photo_in_two_metadata_files_is_refused_with_both():
    files = {
        "metadata.csv": "file_name,label\ntrain/a,x\n",
        "train/metadata.csv": "file_name,label\na,x\n",
        "train/a": "",
    }
    message = error(files)
    assert message.startswith("train/metadata.csv: row 2: ") and "row 2 of metadata.csv" in message


def test_names_of_other_systems_find_their_files_and_paths_out_of_the_source_are_left():
    files = {"train/metadata.csv": "file_name,label\nsub\\Škoda.jpg,x\n../../b.jpg,x\n/c.jpg,x\n",
             "train/sub/S\u030ckoda.jpg": ""}  # fmt: skip
    assert values(read(files), "path", "reason") == [
        ["train/sub/S\u030ckoda.jpg", ""],
        ["../b.jpg", ""],
        ["/c.jpg", ""],
    ]


def test_a_name_that_two_files_may_be_is_refused_with_both():
    message = error({"metadata.csv": "file_name,label\nS\u030c\\a,x\n", "S\u030c/a": "", "\u0160/a": ""})
    assert "S\\u030c/a" in message and "\\u0160/a" in message


def test_parquet_with_objects(tmp_path):
    pytest.importorskip("pyarrow")
    objects = [{"bbox": [[1.0, 2.0, 3.0, 4.0]], "categories": [5]}, {"bbox": [], "categories": []}]
    pd.DataFrame({"file_name": ["a", "b"], "objects": objects}).to_parquet(tmp_path / "m.parquet")
    found = read({"metadata.parquet": (tmp_path / "m.parquet").read_bytes(), "a": "", "b": ""})
    assert values(found.fillna(0), "label", *BOX, "reason") == [["5", 1, 2, 4, 6, ""], ["", 0, 0, 0, 0, "no_label"]]
