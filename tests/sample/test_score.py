import json

import numpy as np
import pandas as pd
import pytest
import yaml

from stages.core import tables
from stages.core.errors import TableError
from stages.sample import score
from stages.schemas import crops, detections, manifest
from tests import archives

CROP = {"mode": "box", "classes": ["car"], "min_score": 0.1, "min_area": 0.01, "min_aspect": 0.9, "max_aspect": 4.5,
        "max_runner_up_ratio": 1, "margin": 0, "max_side": 1024, "on_no_box": "full_image"}  # fmt: skip
MASK = {"weights": {"a": 1, "b": 1}, "min_region": 0.1, "min_agreement": 0, "min_coverage": 0, "max_coverage": 1}
BOX = (10, 10, 50, 30)


def box_mask(size_wh, box):
    mask = np.zeros(size_wh[::-1], np.uint8)
    x_min, y_min, x_max, y_max = box
    mask[y_min:y_max, x_min:x_max] = 255
    return mask


def row(image_id, status="ok", kind="car", detected=BOX):
    """A photo of 80 x 60 pixels: its rows in the manifest, the boxes, the ground truth and the detections."""
    path = f"x/{image_id}.jpg"
    corners = dict(zip(("x_min", "y_min", "x_max", "y_max"), map(float, detected)))
    photo = {"image_id": image_id, "path": path, "label": "x", "status": "ok", "reason": "", "width": 80, "height": 60}
    photo |= {"phash": "0", "group": image_id, "split": "test", "note": "", **dict.fromkeys(corners, np.nan)}
    chosen = {"image_id": image_id, "path": path, "status": status, "reason": "", "is_cropped": True, "score": 0.5}
    chosen |= corners | {"class_name": "car", "n_vehicles": 1, "runner_up_ratio": 0.0}
    truth = {"path": path, "kind": kind, **dict(zip(corners, BOX))}
    return photo, chosen, truth, {"image_id": image_id, "class_name": "car", "score": 0.5, **corners}


@pytest.fixture
def stage(tmp_path, run):
    """A function that runs the stage on rows. The mask is the true one; segmenter a has its left half, b all of it."""

    def call(*rows):
        photos, chosen, truth, detected = (list(column) for column in zip(*rows))
        for photo in photos:
            name = photo["image_id"]
            archives.write(tmp_path / "true" / "x" / f"{name}.png", box_mask((80, 60), BOX))
            archives.put(tmp_path / "masks", {f"{name}.png": box_mask((40, 20), (0, 0, 40, 20))})
            archives.put(tmp_path / "maps" / "a", {f"{name}.png": box_mask((8, 8), (0, 0, 4, 8))})
            archives.put(tmp_path / "maps" / "b", {f"{name}.png": box_mask((8, 8), (0, 0, 8, 8))})
        (tmp_path / "params.yaml").write_text(yaml.safe_dump({"crop": CROP, "mask": MASK}))
        for name, module, content in (
            ("manifest", manifest, photos), ("boxes", crops, chosen), ("detections", detections, detected),
        ):  # fmt: skip
            tables.write(tmp_path / f"{name}.csv", pd.DataFrame(content, columns=list(module.COLUMNS)))
        tables.write(tmp_path / "truth.csv", pd.DataFrame(truth))
        files = {name: tmp_path / f"{name}.csv" for name in ("manifest", "boxes", "detections", "truth")}
        folders = {"maps": tmp_path / "maps", "masks": tmp_path / "masks", "thresholds": tmp_path / "thresholds"}
        run(score, params=tmp_path / "params.yaml", true_masks=tmp_path / "true", metrics=tmp_path / "m.json",
            details=tmp_path / "details.json", **files, **folders)  # fmt: skip
        return json.loads((tmp_path / "details.json").read_text())

    return call


def test_boxes_masks_and_each_segmenter_are_scored(stage, tmp_path):
    metrics = stage(row("aa"), row("bb"), row("cc", detected=(40, 10, 80, 30)), row("dd", kind="small"))
    assert metrics["detector"] == {"n": 3, "recall_at_50": 0.6667, "recall_at_75": 0.6667, "mean_iou": 0.7143}
    # Of cc: 10 x 20 of 40 x 20 true pixels are in its crop, which the mask covers: IoU 200 / 1400.
    assert metrics["mask"]["n"] == 3 and metrics["mask"]["mean_iou"] == pytest.approx((2 + 1 / 7) / 3, abs=1e-4)
    assert metrics["segmenters"]["b"]["gain"] == 0 and metrics["segmenters"]["a"]["gain"] > 0.2
    assert json.loads((tmp_path / "m.json").read_text()) == {
        "recall_50": 0.6667, "mask_iou": metrics["mask"]["mean_iou"],
    }  # fmt: skip
    sweep = pd.read_csv(tmp_path / "thresholds" / "min_score.csv").set_index("value")
    assert sweep.loc[[0.1, 0.5, 0.6], "recall_50"].tolist() == [0.6667, 0.6667, 0.0]
    assert sweep.loc[[0.1, 0.6], "precision_50"].tolist() == [0.6667, 0.0]


def test_a_photo_without_a_crop_counts_as_missed(stage):
    metrics = stage(row("aa"), row("bb"), row("cc", status="dropped"))
    assert metrics["detector"]["n"] == 3 and metrics["mask"]["n"] == 2


def test_tables_of_another_source_are_rejected(stage):
    photo, chosen, truth, detected = row("aa")
    with pytest.raises(TableError, match=r"sample's photo x/other\.jpg.*ingest\.source"):
        stage((photo, chosen, truth | {"path": "x/other.jpg"}, detected))
