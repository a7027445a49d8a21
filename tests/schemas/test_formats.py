"""The tables between the stages: each reader takes its own columns and refuses values that cannot be."""

import pandas as pd
import pytest

from stages.core import progress, tables
from stages.core.errors import TableError
from stages.schemas import crops, detections, files, manifest, masks, split_table

MANIFEST = {"image_id": "00", "path": "a b/ü,'.jpg", "label": "None", "status": "ok", "reason": "", "width": 5,
            "height": 4, "phash": "0f", "group": "00", "split": "train", "note": "", "x_min": 1.0, "y_min": 2.0,
            "x_max": 3.5, "y_max": 4.0}  # fmt: skip
DETECTION = {
    "image_id": "00",
    "class_name": "car",
    "score": 0.5,
    "x_min": 1.0,
    "y_min": 2.0,
    "x_max": 3.5,
    "y_max": 4.0,
}
CROP = {"image_id": "00", "path": "a", "status": "ok", "reason": "", "is_cropped": True, "x_min": 1.0, "y_min": 2.0,
        "x_max": 3.5, "y_max": 4.0, "score": 0.5, "class_name": "car", "n_vehicles": 1,
        "runner_up_ratio": 0.0}  # fmt: skip
MASK = {
    "image_id": "00",
    "path": "a",
    "status": "ok",
    "reason": "",
    "coverage": 0.5,
    "agreement": 0.75,
    "n_regions": 1,
    "is_masked": True,
    "mask_reason": "",
}
SPLIT = {"image_id": "00", "path": "a", "label": "None", "group": "00", "split": "val", "status": "ok", "reason": ""}
FILE = {"path": "a b/ü,'.jpg", "label": "None", "split": "", "group": "", "origin": "", "x_min": 1.0,
        "y_min": 2.0, "x_max": 3.5, "y_max": 4.0, "time": 3.0, "annotated_width": 5, "annotated_height": 0,
        "version": "etag:x", "reason": ""}  # fmt: skip
FORMATS = [
    (files, FILE),
    (manifest, MANIFEST),
    (detections, DETECTION),
    (crops, CROP),
    (masks, MASK),
    (split_table, SPLIT),
]


@pytest.mark.parametrize(("module", "row"), FORMATS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_table_comes_back_as_it_was_written_also_without_rows(tmp_path, module, row):
    frame = pd.DataFrame([row])
    assert list(row) == list(module.COLUMNS) or set(row) == set(module.COLUMNS)
    tables.write(tmp_path / "t.csv", frame)
    assert module.read(tmp_path / "t.csv").to_dict("records") == [row]
    tables.write(tmp_path / "t.csv", frame.iloc[:0])
    assert len(module.read(tmp_path / "t.csv")) == 0


@pytest.mark.parametrize(
    ("module", "row", "column", "bad"),
    [
        (files, FILE, "split", "dev"),
        (files, FILE, "x_min", "left"),
        (manifest, MANIFEST, "status", "good"),
        (manifest, MANIFEST, "split", ""),
        (manifest, MANIFEST, "split", "Train"),
        (manifest, MANIFEST, "width", "wide"),
        (detections, DETECTION, "score", 1.01),
        (detections, DETECTION, "score", ""),
        (detections, DETECTION, "x_max", 0.5),
        (detections, DETECTION, "y_max", ""),
        (crops, CROP, "status", ""),
        (crops, CROP, "is_cropped", "yes"),
        (crops, CROP, "n_vehicles", 1.5),
        (masks, MASK, "coverage", 1.5),
        (masks, MASK, "coverage", -0.1),
        (split_table, SPLIT, "split", "dev"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_file_and_column(tmp_path, module, row, column, bad):
    tables.write(tmp_path / "t.csv", pd.DataFrame([{**row, column: bad}]))
    with pytest.raises(TableError, match=rf"t\.csv: column `{column}`, row 2"):
        module.read(tmp_path / "t.csv")


@pytest.mark.parametrize(("module", "row"), [(manifest, MANIFEST), (split_table, SPLIT)])
def test_a_usable_photo_comes_once_and_an_unusable_one_may_come_twice(tmp_path, module, row):
    twin = {**row, "path": "b", "status": "rejected", "split": "", "reason": "duplicate"}
    tables.write(tmp_path / "t.csv", pd.DataFrame([row, twin, {**twin, "path": "c"}]))
    assert len(module.read(tmp_path / "t.csv")) == 3
    # A copy may come first: of given splits the photo of test is kept, and a photo to predict is never kept before it.
    tables.write(tmp_path / "t.csv", pd.DataFrame([twin, row]))
    assert len(module.read(tmp_path / "t.csv")) == 2
    tables.write(tmp_path / "t.csv", pd.DataFrame([row, {**row, "path": "b"}]))
    with pytest.raises(TableError, match="each usable photo once"):
        module.read(tmp_path / "t.csv")


def test_the_bar_passes_all_items_on_and_the_summary_is_one_line(capsys):
    assert list(progress.track(iter("abc"), 3, "photo", "test")) == ["a", "b", "c"]
    progress.summary("ingest", photos=3, not_usable=0)
    captured = capsys.readouterr()
    assert captured.out == "ingest: 3 photos, 0 not usable\n" and "photo" in captured.err
