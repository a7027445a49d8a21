import json

import numpy as np
import pandas as pd
import pytest
import yaml

from stages import segment
from stages.imaging import images, runtime
from stages.records import crops, tables

NOT_CROPPED = {"x_min": np.nan, "y_min": np.nan, "x_max": np.nan, "y_max": np.nan, "score": np.nan, "class_name": ""}


def row(image_id, status="ok"):
    return {"image_id": image_id, "path": f"{image_id}.jpg", "status": status, "reason": "", "is_cropped": False,
            "n_vehicles": 0, "rival": 0.0} | NOT_CROPPED  # fmt: skip


@pytest.fixture
def stage(tmp_path, run, monkeypatch, corners):
    """A function that runs the stage on three crops with a network that calls red what is bright in red."""
    seen = []

    def load(path, outputs, _, side=None):
        seen.append((path.name, outputs, side))
        return lambda batch: [batch[:, :1]]

    def call(rows, **view):
        for name in ("aa", "bb", "cc"):
            images.write(tmp_path / "crops" / f"{name}.jpg", corners(30, 20))
        (tmp_path / "crops" / "cc.jpg").write_bytes(b"no picture")
        settings = {"segment": {"runtime": {"batch_size": 2, "engine": "auto", "precision": "f32"}}}
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings | {"segmenters": {"one": view}}))
        tables.write(tmp_path / "boxes.csv", pd.DataFrame(rows, columns=list(crops.COLUMNS)))
        monkeypatch.setattr(runtime, "load", load)
        paths = {name: tmp_path / name for name in ("crops", "networks", "maps")}
        files = {"params": tmp_path / "params.yaml", "boxes": tmp_path / "boxes.csv", "metrics": tmp_path / "m.json"}
        run(segment, segmenter="one", **paths, **files)
        return json.loads((tmp_path / "m.json").read_text()), seen

    return call


def test_every_readable_crop_of_a_usable_photo_gets_its_map(tmp_path, stage):
    rows = [row("aa"), row("bb"), row("cc"), row("dd", "failed")]
    metrics, seen = stage(rows, network="u2netp")
    assert metrics == {"crops": 3, "maps": 2} and seen == [("u2netp.onnx", ["1959"], None)]
    assert sorted(path.name for path in (tmp_path / "maps").iterdir()) == ["aa.png", "bb.png"]
    plane = images.read_mask(tmp_path / "maps" / "aa.png")
    assert plane.shape == (320, 320)
    # Red above left, green above right, blue below left, yellow below right.
    assert [int(plane[y, x]) > 127 for y, x in ((40, 40), (40, 280), (280, 40), (280, 280))] == [
        True, False, False, True,
    ]  # fmt: skip


def test_a_flipped_view_of_another_side_gives_its_map_as_the_crop_lies(tmp_path, stage):
    _, seen = stage([row("aa")], network="u2netp", flip=True, input_px=64)
    plane = images.read_mask(tmp_path / "maps" / "aa.png")
    assert plane.shape == (64, 64) and plane[8, 8] > 127 > plane[8, 56] and seen[0][2] == 64


def test_without_a_crop_there_is_an_empty_folder(tmp_path, stage):
    assert stage([], network="u2netp")[0] == {"crops": 0, "maps": 0}
    assert list((tmp_path / "maps").iterdir()) == []
