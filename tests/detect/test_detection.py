import json

import numpy as np
import pandas as pd
import pytest
import yaml

from stages.core import tables
from stages.detect import __main__ as detect_stage
from stages.detect import detection
from stages.detect.centernet import Detections
from stages.detect.detector import pack, unpack
from stages.images.images import encode, image_id
from stages.networks import runtime
from stages.networks.catalogue import COCO
from stages.schemas import detections, manifest

SETTINGS = {
    "network": "centernet_mobilenetv3", "min_score": 0.05, "max_boxes": 100,
    "inference": {"batch_size": 2, "engine": "auto", "precision": "f32"},
}  # fmt: skip


def row(path, content, status="ok"):
    return {
        "image_id": image_id(content), "path": path, "label": "a", "status": status, "reason": "", "width": 64,
        "height": 64, "phash": "", "group": "", "split": "train",
        "note": "", "x_min": np.nan, "y_min": np.nan, "x_max": np.nan, "y_max": np.nan,
    }  # fmt: skip


@pytest.fixture
def stage(tmp_path, run, monkeypatch):
    """A function that runs the stage with a network that finds one car in each photo, scored by its red.

    It returns the table, the counts and what the network was shown.
    """

    def call(rows, network_file=b"played", **changes):
        shown = []

        def predict(images):
            for image in images:
                shown.append(image)
                yield heads(image)

        def heads(image):
            rows, columns = (side // 4 for side in image.shape[:2])
            heatmap = np.zeros((rows, columns, 80), np.float32)
            middle = image[2 * rows, 2 * columns, 0]
            heatmap[rows // 2, columns // 2, COCO.index("car")] = middle / np.float32(255)
            return heatmap, np.full((rows, columns, 4), 64, np.float32)

        monkeypatch.setattr(runtime, "load", lambda *_: predict)
        (tmp_path / "networks").mkdir(exist_ok=True)
        (tmp_path / "networks" / "centernet_mobilenetv3.onnx").write_bytes(network_file)
        sources = {"source": str(tmp_path / "photos"), "unlabelled": str(tmp_path / "others")}
        (tmp_path / "params.yaml").write_text(
            yaml.safe_dump({"detect": SETTINGS | changes, "ingest": sources, "runtime": {}})
        )
        rows = sorted(rows, key=lambda row: row["image_id"])
        tables.write(tmp_path / "manifest.csv", pd.DataFrame(rows, columns=list(manifest.COLUMNS)))
        inputs = {"params": "params.yaml", "manifest": "manifest.csv", "networks": "networks"}
        outputs = {"cache": "cache", "detections": "d.csv", "failures": "f.csv", "details": "d.json"}
        run(detect_stage, **{name: tmp_path / path for name, path in (inputs | outputs).items()})
        return detections.read(tmp_path / "d.csv"), json.loads((tmp_path / "d.json").read_text()), shown

    return call


@pytest.fixture
def photos(tmp_path):
    """Rows of the manifest for three grey photos of 64 x 64 pixels, the third dark, all written to disk."""
    (tmp_path / "others").mkdir()
    rows = []
    for number, grey in enumerate((255, 204, 5)):
        content = encode(np.full((64, 64, 3), grey, np.uint8), ".png")
        path = tmp_path / "photos" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        rows.append(row(path.name, content))
    return rows


def test_every_object_above_the_score_is_a_row_sorted_by_image_id(stage, photos):
    table, counts, shown = stage([*photos, row("gone.png", b"gone"), row("bad.png", b"bad", "failed")])
    by_id = {photos[0]["image_id"]: 1.0, photos[1]["image_id"]: 0.8}
    assert dict(zip(table["image_id"], table["score"])) == by_id and table["image_id"].tolist() == sorted(by_id)
    assert table["class_name"].tolist() == ["car", "car"]
    # Cell (64, 64) is at (256, 256) of the input; 512 input pixels are 64 of the photo.
    assert table[["x_min", "y_min", "x_max", "y_max"]].to_numpy().tolist() == [[24, 24, 40, 40]] * 2
    assert counts == {"photos": 4, "with_boxes": 2, "boxes": 2} and len(shown) == 3


def test_photos_to_predict_are_read_from_their_own_source(stage, photos, tmp_path):
    (tmp_path / "photos" / "0.png").rename(tmp_path / "others" / "0.png")
    rows = [photos[0] | {"split": "unlabelled", "label": ""}, photos[1]]
    table, counts, _ = stage(rows)
    assert set(table["image_id"]) == {row["image_id"] for row in rows} and counts["photos"] == 2


def test_a_photo_with_an_annotated_box_is_not_detected(stage, photos):
    boxed = photos[0] | {"x_min": 1.0, "y_min": 2.0, "x_max": 30.0, "y_max": 40.0}
    table, counts, shown = stage([boxed, photos[1]])
    assert table["image_id"].tolist() == [photos[1]["image_id"]] and len(shown) == 1
    assert counts == {"photos": 1, "with_boxes": 1, "boxes": 1, "annotated": 1}


def test_only_new_photos_are_run_and_the_table_is_the_same(stage, photos):
    assert len(stage(photos[:1])[2]) == 1
    table, _, shown = stage(photos)
    assert len(shown) == 2
    again, _, shown = stage(photos)
    assert shown == []
    pd.testing.assert_frame_equal(again, table)


@pytest.mark.parametrize("changes", [{"network_file": b"another"}, {"min_score": 0.5}, {"flip": True}])
def test_another_network_or_setting_runs_all_photos_again(stage, photos, changes):
    stage(photos)
    assert len(stage(photos, **changes)[2]) == 3 * (2 if changes.get("flip") else 1)
    assert stage(photos)[2] == []


def test_no_photos_are_a_table_without_rows(stage):
    table, counts, shown = stage([])
    assert len(table) == 0 and counts == {"photos": 0, "with_boxes": 0, "boxes": 0} and shown == []


@pytest.mark.parametrize("n", [0, 3])
def test_objects_come_back_from_their_bytes(n):
    rng = np.random.default_rng(0)
    boxes, scores = rng.normal(size=(n, 4)).astype(np.float32), rng.random(n).astype(np.float32)
    objects = unpack(pack(Detections(boxes, scores, np.arange(n))))
    np.testing.assert_array_equal(objects.boxes, boxes)
    np.testing.assert_array_equal(objects.scores, scores)
    assert objects.classes.tolist() == list(range(n)) and objects.classes.dtype == np.int64
    assert objects.boxes.shape == (n, 4) and objects.boxes.dtype == objects.scores.dtype == np.float32


@pytest.mark.parametrize("at_once", [1, 2, 1000])
def test_the_table_is_the_same_however_many_photos_are_put_together_at_once(tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(detection.batches, "ROWS_AT_ONCE", at_once)
    corners = np.arange(12, dtype=np.float32).reshape(3, 4)
    outputs = {
        "b": Detections(corners[:2], np.float32([0.5, 0.25]), np.array([1, 0])),
        "none": Detections(corners[:0], np.float32([]), np.zeros(0, np.int64)),
        "a": Detections(corners[2:], np.float32([0.75]), np.array([1])),
    }
    packed = ((name, pack(objects)) for name, objects in outputs.items())
    tables.write_parts(tmp_path / "d.csv", detection.to_tables(packed, ("car", "bus")))
    assert (tmp_path / "d.csv").read_text().splitlines() == [
        "image_id,class_name,score,x_min,y_min,x_max,y_max",
        "b,bus,0.5,0.0,1.0,2.0,3.0",
        "b,car,0.25,4.0,5.0,6.0,7.0",
        "a,bus,0.75,8.0,9.0,10.0,11.0",
    ]
