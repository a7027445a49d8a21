import json

import numpy as np
import pandas as pd
import pytest

from stages.core import tables
from stages.core.errors import TableError
from stages.crop import __main__ as crop_stage
from stages.crop import cropping
from stages.crop.settings import CropSettings
from stages.images import images
from stages.schemas import crops, detection_failures, detections, manifest, shards, split_table
from tests import archives

RULE = CropSettings(
    mode="box",
    classes=("car", "truck"),
    min_score=0.1,
    min_area=0.01,
    min_aspect=0.9,
    max_aspect=4.5,
    max_runner_up_ratio=1.0,
    margin=0.0,
    on_no_box="full_image",
    max_side=1024,
)
CORNERS = ["x_min", "y_min", "x_max", "y_max"]


def photo(image_id, status="ok", reason="", path=None, label="nan"):
    return {
        "image_id": image_id,
        "path": path or f"{image_id}.png",
        "label": label,
        "status": status,
        "reason": reason,
        "width": 40,
        "height": 30,
        "phash": "0",
        "group": image_id,
        "split": "train" if status == "ok" else "",
        "note": "",
        **dict.fromkeys(CORNERS, np.nan),
    }


def found(*rows):
    return pd.DataFrame(rows, columns=list(detections.COLUMNS))


PHOTOS = pd.DataFrame([photo("a"), photo("b"), photo("c"), photo("d"), photo("e"), photo("f", "failed", "truncated")])
FOUND = found(
    ("a", "car", 0.5, 10.0, 5.0, 30.0, 25.0),
    ("a", "truck", 0.9, 0.0, 0.0, 8.0, 8.0),
    ("b", "bus", 0.9, 0.0, 0.0, 40.0, 30.0),
    ("c", "car", 0.09, 0.0, 0.0, 40.0, 30.0),
    ("d", "car", 0.9, 0.0, 0.0, 3.0, 3.0),
    ("zz", "car", 0.9, 0.0, 0.0, 9.0, 9.0),
)


def test_every_row_of_the_manifest_has_its_box_or_its_reason():
    before = PHOTOS.copy(), FOUND.copy()
    table = cropping.select_boxes(PHOTOS, FOUND, RULE)
    assert table["image_id"].tolist() == list("abcdef")
    assert table["reason"].tolist() == ["", "other_class", "low_score", "too_small", "no_vehicle", "truncated"]
    assert table["status"].tolist() == ["ok"] * 5 + ["failed"]
    assert table["is_cropped"].tolist() == [True] + [False] * 5
    assert table.loc[0, CORNERS].tolist() == [10, 5, 30, 25] and table.loc[1:, CORNERS].isna().all(axis=None)
    assert table["n_vehicles"].tolist() == [2, 0, 0, 1, 0, 0] and table["class_name"].tolist() == ["car"] + [""] * 5
    pd.testing.assert_frame_equal(PHOTOS, before[0])
    pd.testing.assert_frame_equal(FOUND, before[1])


def test_a_photo_without_a_car_is_dropped_with_on_no_box_drop():
    table = cropping.select_boxes(PHOTOS, FOUND, RULE.replace(on_no_box="drop"))
    assert table["status"].tolist() == ["ok"] + ["dropped"] * 4 + ["failed"]


def test_whole_photos_to_compare_with_have_no_box_and_no_reason():
    table = cropping.select_boxes(PHOTOS, FOUND, RULE.replace(mode="full_image", on_no_box="drop"))
    assert not table["is_cropped"].any() and table["status"].tolist() == ["ok"] * 5 + ["failed"]
    assert table["reason"].tolist() == [""] * 5 + ["truncated"]


def test_no_photo_is_a_table_of_no_rows():
    assert cropping.select_boxes(PHOTOS[:0], FOUND, RULE).columns.tolist() == list(crops.COLUMNS)
    assert cropping.select_boxes(PHOTOS, FOUND[:0], RULE)["reason"].tolist() == ["no_vehicle"] * 5 + ["truncated"]


@pytest.fixture
def stage(tmp_path, run, corners):
    """A function that runs the stage on photos made from rows of the manifest and detections."""

    def call(rows, boxes, changed=(), missing=(), others=(), dead=(), later=(), **rule):
        for row in rows:
            content = images.encode(corners(40, 30), ".png") + row["path"].encode()  # so that no two are equal
            row["image_id"] = images.image_id(content)
            if row["path"] not in missing:
                folder = tmp_path / "others" if row["path"] in others else tmp_path
                (folder / row["path"]).write_bytes(content + (b"x" if row["path"] in changed else b""))
        keys = {
            "mode": "box",
            "classes": ["car"],
            "min_score": 0.1,
            "min_area": 0,
            "margin": 0,
            "on_no_box": "full_image",
        }
        keys |= {"min_aspect": 0, "max_aspect": 100, "max_runner_up_ratio": 1, "max_side": 1024}
        sources = {"source": str(tmp_path), "unlabelled": str(tmp_path / "others")}
        (tmp_path / "params.yaml").write_text(json.dumps({"crop": keys | rule, "ingest": sources}))
        table = found(*((rows[number]["image_id"], *rest) for number, *rest in boxes))
        tables.write(tmp_path / "manifest.csv", pd.DataFrame(rows, columns=list(manifest.COLUMNS)))
        tables.write(tmp_path / "detections.csv", table)
        tables.write(
            tmp_path / "failures.csv",
            detection_failures.table({rows[number]["image_id"]: "worker_died" for number in dead}),
        )
        second = {rows[number]["image_id"]: 1 for number in later}
        shards.write(tmp_path / "shards.json", shards.ONE_SHARD._replace(later=second))
        run(
            crop_stage,
            shards=tmp_path / "shards.json",
            memory=tmp_path / "memory",
            params=tmp_path / "params.yaml",
            manifest=tmp_path / "manifest.csv",
            detections=tmp_path / "detections.csv",
            failures=tmp_path / "failures.csv",
            boxes=tmp_path / "boxes.csv",
            splits=tmp_path / "splits.csv",
            crops=tmp_path / "crops",
            metrics=tmp_path / "m.json",
            details=tmp_path / "details.json",
            thresholds=tmp_path / "thresholds",
        )
        return crops.read(tmp_path / "boxes.csv"), json.loads((tmp_path / "details.json").read_text())

    return call


def test_a_photo_that_ends_its_process_keeps_its_row_and_is_not_tried(tmp_path, stage):
    rows = [photo("", path="a.png"), photo("", path="b.png")]
    table, metrics = stage(rows, [(1, "car", 0.5, 20.0, 0.0, 40.0, 15.0)], dead=[0])
    assert table[["status", "reason"]].to_numpy().tolist() == [["failed", "worker_died"], ["ok", ""]]
    assert list(archives.take(tmp_path / "crops")) == [f"{rows[1]['image_id']}.jpg"]
    assert metrics["cropped"] == 1


def test_the_stage_cuts_the_box_out_of_the_photo(tmp_path, stage, corners):
    rows = [photo("", path="é 'a'.png"), photo("", path="b.png", label="None")]
    table, metrics = stage(rows, [(0, "car", 0.5, 20.0, 0.0, 40.0, 15.0)])
    first, second = (archives.picture(tmp_path / "crops", f"{row['image_id']}.jpg") for row in rows)
    np.testing.assert_allclose(first.astype(int), np.full((15, 20, 3), (0, 255, 0)), atol=4)
    assert second.shape == (30, 40, 3) and np.abs(second[-1, -1].astype(int) - corners(40, 30)[-1, -1]).max() <= 4
    assert table["reason"].tolist() == ["", "no_vehicle"] and metrics["cropped"] == 1 and metrics["photos"] == 2
    refused = {"photos": 1, "rejected": 1, "reason": {"no_vehicle": 1}}
    assert metrics["by_class"] == {"None": refused, "nan": {"photos": 1, "rejected": 0, "reason": {}}}
    assert metrics["by_split"] == {"train": refused | {"photos": 2}} and metrics["overrejected_classes"] == {}
    moved = pd.read_csv(tmp_path / "thresholds" / "min_score.csv").set_index("value")["cropped"]
    assert moved.loc[[0.05, 0.5, 0.6]].tolist() == [1, 1, 0]


def test_what_the_rule_decides_is_in_the_table_of_splits(tmp_path, stage):
    rows = [photo("", path="a.png"), photo("", path="b.png", label="None"), photo("", path="c.png", label="None")]
    rows[2]["split"] = "val"
    with pytest.raises(
        TableError, match=r"splits\.csv: expected a train photo of each class, found none of `None` \(1 no"
    ):
        stage(rows, [(0, "car", 0.5, 0.0, 0.0, 9.0, 9.0), (2, "car", 0.5, 0.0, 0.0, 9.0, 9.0)], on_no_box="drop")
    table = split_table.read(tmp_path / "splits.csv")
    expected = [["a.png", "nan", "train", "ok", ""], ["b.png", "None", "train", "dropped", "no_vehicle"]]
    columns = ["path", "label", "split", "status", "reason"]
    assert table[columns].values.tolist() == [*expected, ["c.png", "None", "val", "ok", ""]]
    assert table["image_id"].tolist() == [row["image_id"] for row in rows] and table["group"].tolist() == [""] * 3


def test_a_class_refused_more_than_others_is_named_with_its_chance():
    assert cropping.overrejected_classes({"a": (1, 100), "b": (2, 100), "c": (0, 100)}) == {}
    found = cropping.overrejected_classes({"a": (1, 100), "b": (20, 100), "c": (0, 100)})
    assert list(found) == ["b"] and 0 < found["b"] < 1e-6
    assert cropping.overrejected_classes({"a": (5, 5)}) == {} and cropping.overrejected_classes({}) == {}


def test_the_rank_of_the_next_vehicle_is_in_the_table():
    rows = found(("a", "car", 0.5, 0, 0, 20, 20), ("a", "car", 0.25, 20, 10, 40, 30))
    assert cropping.select_boxes(PHOTOS[:1], rows, RULE)["runner_up_ratio"].tolist() == [0.5]


def test_a_photo_that_changed_or_went_since_keeps_its_row_without_a_crop(tmp_path, stage):
    rows = [photo("", path="a.png"), photo("", path="b.png"), photo("", path="c.png")]
    boxes = [
        (0, "car", 0.5, 0.0, 0.0, 9.0, 9.0),
        (1, "car", 0.5, 0.0, 0.0, 9.0, 9.0),
        (2, "car", 0.5, 0.0, 0.0, 9.0, 9.0),
    ]
    table, metrics = stage(rows, boxes, changed=["a.png"], missing=["b.png"])
    assert table["status"].tolist() == ["failed", "failed", "ok"] and table["reason"].tolist() == [
        "changed",
        "missing",
        "",
    ]
    assert list(archives.take(tmp_path / "crops")) == [f"{rows[2]['image_id']}.jpg"]
    assert table["is_cropped"].tolist() == [False, False, True] and metrics["cropped"] == 1


def test_reasons_are_those_of_their_rows_whatever_the_order_of_shards(tmp_path, stage):
    rows = [photo("", path=name) for name in ("gone.png", "there.png", "also.png")]
    boxes = [(number, "car", 0.5, 0.0, 0.0, 9.0, 9.0) for number in range(3)]
    for _ in range(2):
        table, _ = stage(rows, boxes, missing=["gone.png"], later=[0])
        assert table["reason"].tolist() == ["missing", "", ""] and table["is_cropped"].tolist() == [False, True, True]
    assert sorted(path.name for path in (tmp_path / "crops").iterdir()) == ["00000.zip", "00001.zip"]


def test_the_stage_with_no_usable_photo_writes_its_tables_and_is_an_error(tmp_path, stage):
    with pytest.raises(TableError, match=r"boxes\.csv: expected usable photos, found none in 1 rows \(1 truncated\)"):
        stage([photo("", "failed", "truncated", "a.png")], [])
    table, metrics = crops.read(tmp_path / "boxes.csv"), json.loads((tmp_path / "details.json").read_text())
    assert table["reason"].tolist() == ["truncated"] and metrics["photos"] == metrics["cropped"] == 0
    with pytest.raises(TableError, match=r"found none in 0 rows \(no rows\)"):
        stage([], [])
    table, metrics = crops.read(tmp_path / "boxes.csv"), json.loads((tmp_path / "details.json").read_text())
    assert len(table) == 0 and metrics["photos"] == 0


def test_an_annotated_box_is_the_crop_whatever_was_detected_and_whatever_the_rule_says(tmp_path, stage):
    boxed = photo("", path="a.png") | {"x_min": 20.0, "y_min": 0.0, "x_max": 40.0, "y_max": 15.0}
    table, metrics = stage([boxed, photo("", path="b.png")], [(0, "car", 0.9, 0.0, 0.0, 9.0, 9.0)], min_area=0.9)
    assert table["class_name"].tolist() == ["annotated", ""] and table["score"].tolist()[0] == 1.0
    assert table.loc[0, CORNERS].tolist() == [20, 0, 40, 15] and metrics["cropped"] == 1
    crop = archives.picture(tmp_path / "crops", f"{boxed['image_id']}.jpg")
    np.testing.assert_allclose(crop.astype(int), np.full((15, 20, 3), (0, 255, 0)), atol=4)
    # The table of thresholds is about detected photos.
    assert pd.read_csv(tmp_path / "thresholds" / "min_score.csv")["photos"].unique().tolist() == [1]


def test_photos_to_predict_are_read_from_their_own_source(tmp_path, stage):
    row = photo("", path="a.png") | {"split": "unlabelled", "label": ""}
    (tmp_path / "others").mkdir()
    stage([row, photo("", path="b.png")], [], others=["a.png"])
    assert len(archives.take(tmp_path / "crops")) == 2


def test_the_stage_shrinks_a_crop_to_max_side(tmp_path, stage):
    row = photo("", path="a.png")
    stage([row], [(0, "car", 0.5, 20.0, 0.0, 40.0, 15.0)], max_side=16)
    crop_ = archives.picture(tmp_path / "crops", f"{row['image_id']}.jpg")
    np.testing.assert_allclose(crop_.astype(int), np.full((12, 16, 3), (0, 255, 0)), atol=4)
