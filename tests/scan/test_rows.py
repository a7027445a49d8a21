import numpy as np
import pandas as pd
import pytest

from stages.images.images import ImageError
from stages.scan import rows as module
from stages.scan.rows import LayoutError, box_of_xywh, finish, load, rows, split_folder, split_of

BOX = {"x_min": 1.0, "y_min": 2.0, "x_max": 3.0, "y_max": 4.0}


def test_records_get_all_columns_with_defaults_and_types():
    found = rows([{"path": "a.jpg", "label": "car", "other": 1}, {"annotated_width": 5, **BOX}])
    assert list(found.columns) == list(module.COLUMNS)
    assert found["path"].tolist() == ["a.jpg", ""] and found["label"].tolist() == ["car", ""]
    assert np.isnan(found.loc[0, "x_min"]) and found.loc[1, ["x_min", "y_min", "x_max", "y_max"]].tolist() == [
        1,
        2,
        3,
        4,
    ]
    assert found["annotated_width"].tolist() == [0, 5] and found["annotated_height"].tolist() == [0, 0]


@pytest.mark.parametrize("records", [[], [{}]])
def test_types_do_not_depend_on_the_number_of_rows(records):
    kinds = rows(records).dtypes
    assert all(kinds[name] == "str" for name in ("path", "label", "split", "group", "reason"))
    assert all(kinds[name] == np.float64 for name in module.BOX)
    assert kinds["annotated_width"] == kinds["annotated_height"] == np.int64


def test_names_that_are_not_utf_8_are_kept():
    assert rows([{"path": "a\udcff.jpg"}])["path"].tolist() == ["a\udcff.jpg"]


@pytest.mark.parametrize(
    ("name", "split"),
    [("train", "train"), ("Training", "train"), ("VAL", "val"), ("valid", "val"), ("Validation", "val"),
     (" dev ", "val"), ("test", "test"), ("testing", "test"), ("trainval", None), ("", None), ("tests", None)],
)  # fmt: skip
def test_split_names(name, split):
    assert split_of(name) == split


@pytest.mark.parametrize(
    ("path", "split"), [("valid/a.jpg", "val"), ("train", ""), ("train.jpg", ""), ("photos/train/a.jpg", "")]
)
def test_the_first_folder_gives_the_split(path, split):
    assert split_folder(path) == split


def test_a_file_that_cannot_be_read_is_named():
    def read_bytes(_):
        raise ImageError("unreadable", "permission denied")

    with pytest.raises(LayoutError, match=r"^a/b\.json: expected a readable file .*unreadable: permission denied$"):
        load(read_bytes, "a/b.json")


def test_corners_of_a_box_are_its_origin_and_the_sums():
    found = box_of_xywh([10, 20.5, 3, 4])
    assert found == {"x_min": 10, "y_min": 20.5, "x_max": 13, "y_max": 24.5, "reason": ""}
    assert box_of_xywh(["1", "2", "3", "4"])["x_max"] == 4


@pytest.mark.parametrize("values", [[1, 2, 0, 5], [1, 2, 5, 0], [1, 2, -5, 5]])
def test_a_box_without_area_keeps_its_corners(values):
    found = box_of_xywh(values)
    assert found["reason"] == "bad_box" and found["x_min"] == 1 and found["y_max"] == 2 + values[3]


@pytest.mark.parametrize(
    "values",
    [None, [], [1, 2, 3], [1, 2, 3, 4, 5], "1234", 7, [1, 2, 3, "x"], [1, 2, 3, None], [True, 2, 3, 4], [[1], 2, 3, 4],
     [1, 2, float("nan"), 4], [1, 2, float("inf"), 4], [1, 2, 10**400, 4], {"x": 1}],
)  # fmt: skip
def test_what_is_no_box_has_no_corners(values):
    assert box_of_xywh(values) == {"reason": "bad_box"}


def test_reasons_of_objects_without_label_and_of_repeated_objects():
    other = {**BOX, "x_max": 9.0}
    frame = rows(
        [
            {"path": "a", "label": "car", **BOX},
            {"path": "a", "label": "car", **BOX},
            {"path": "a", "label": "car", **other},
            {"path": "b", "label": "car", **BOX},
            {"path": "c", "label": "bus", **BOX},
            {"path": "c", "label": "car", **BOX},
            {"path": "c", "label": "bus", **BOX},
            {"path": "d"},
            {"path": "e", "reason": "missing"},
            {"path": "f", "label": "car"},
            {"path": "f", "label": "bus"},
        ]
    )
    before = frame.copy()
    found = finish(frame, ["z", "y"])
    assert found["reason"].tolist() == [
        "", "duplicate_box", "", "", "conflicting_labels", "conflicting_labels", "conflicting_labels", "no_label",
        "missing", "", "", "not_listed", "not_listed",
    ]  # fmt: skip
    assert found["path"].tolist()[-2:] == ["z", "y"]
    pd.testing.assert_frame_equal(frame, before)


def test_an_unlabelled_source_needs_no_labels():
    assert finish(rows([{"path": "d"}]), labelled=False)["reason"].tolist() == [""]
    assert list(finish(rows([])).columns) == list(module.COLUMNS)
