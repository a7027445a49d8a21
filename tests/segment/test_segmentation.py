import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from stages.core import tables
from stages.core.archive import Archive, ArchiveError
from stages.core.shard_writer import ShardFolder
from stages.networks import runtime
from stages.schemas import crops, shards
from stages.segment import __main__ as segment_stage
from stages.segment import segmentation
from tests import archives

NOT_CROPPED = {"x_min": np.nan, "y_min": np.nan, "x_max": np.nan, "y_max": np.nan, "score": np.nan, "class_name": ""}


def row(image_id, status="ok"):
    return {"image_id": image_id, "path": f"{image_id}.jpg", "status": status, "reason": "", "is_cropped": False,
            "n_vehicles": 0, "runner_up_ratio": 0.0} | NOT_CROPPED  # fmt: skip


@pytest.fixture
def stage(tmp_path, run, monkeypatch, corners):
    """A function that runs the stage on three crops with a network that calls red what is bright in red.

    It returns the metrics, what the network was loaded with, and the number of crops it was shown.
    """

    def call(rows, content=b"played", background="remove", **view):
        loaded, shown = [], []

        def load(path, outputs, _, expected):
            assert expected.shape == (3, view.get("input_px", 320), view.get("input_px", 320))
            loaded.append((path.name, outputs))
            return lambda crops: ([shown.append(crop) or crop[:1]] for crop in crops)

        (tmp_path / "networks").mkdir(exist_ok=True)
        (tmp_path / "networks" / "u2netp.onnx").write_bytes(content)
        settings = {
            "runtime": {},
            "inputs": {"i": {"background": background, "width": 16, "height": 16}, "unused": {"background": "remove"}},
            "models": {"m": {"input": "i"}},
            "segment": {"inference": {"batch_size": 2, "engine": "auto", "precision": "f32"}},
        }
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(settings | {"segmenters": {"one": view}}))
        tables.write(tmp_path / "boxes.csv", pd.DataFrame(rows, columns=list(crops.COLUMNS)))
        monkeypatch.setattr(runtime, "load", load)
        shards.write(tmp_path / "shards.json", shards.ONE_SHARD)
        paths = {name: tmp_path / name for name in ("crops", "networks", "cache", "maps", "memory")}
        paths["shards"] = tmp_path / "shards.json"
        files = {"params": tmp_path / "params.yaml", "boxes": tmp_path / "boxes.csv", "details": tmp_path / "m.json"}
        run(segment_stage, segmenter="one", **paths, **files)
        return json.loads((tmp_path / "m.json").read_text()), loaded, len(shown)

    crops_ = {f"{name}.jpg": corners(30, 20 + number) for number, name in enumerate(("aa", "bb"))}
    archives.put(tmp_path / "crops", crops_ | {"cc.jpg": b"no image"})
    return call


def maps_of(folder):
    """The bytes of all maps by name; the archive is removed, so that the next run writes all shards."""
    maps = archives.take(folder / "maps")
    shutil.rmtree(folder / "maps")
    return maps


def test_every_readable_crop_of_a_usable_photo_gets_its_map(tmp_path, stage):
    rows = [row("aa"), row("bb"), row("cc"), row("dd", "failed")]
    metrics, loaded, _ = stage(rows, network="u2netp")
    assert metrics == {"crops": 3, "maps": 2} and loaded == [("u2netp.onnx", ["1959"])]
    assert list(archives.take(tmp_path / "maps")) == ["aa.png", "bb.png"]
    saliency_map = archives.mask(tmp_path / "maps", "aa.png")
    assert saliency_map.shape == (320, 320)
    # Red above left, green above right, blue below left, yellow below right.
    assert [int(saliency_map[y, x]) > 127 for y, x in ((40, 40), (40, 280), (280, 40), (280, 280))] == [
        True, False, False, True,
    ]  # fmt: skip


def test_a_flipped_view_of_another_side_gives_its_map_as_the_crop_lies(tmp_path, stage):
    stage([row("aa")], network="u2netp", flip=True, input_px=64)
    saliency_map = archives.mask(tmp_path / "maps", "aa.png")
    assert saliency_map.shape == (64, 64) and saliency_map[8, 8] > 127 > saliency_map[8, 56]


def test_without_a_crop_there_is_an_empty_archive(tmp_path, stage):
    assert stage([], network="u2netp")[0] == {"crops": 0, "maps": 0}
    assert archives.take(tmp_path / "maps") == {}


def test_where_no_mask_is_used_no_network_is_loaded(tmp_path, stage, capsys):
    assert stage([row("aa"), row("bb")], background="keep", network="u2netp") == ({"crops": 0, "maps": 0}, [], 0)
    assert archives.take(tmp_path / "maps") == {}
    assert "no segmenter runs" in capsys.readouterr().err
    assert stage([row("aa"), row("bb")], background="blur", network="u2netp")[0] == {"crops": 2, "maps": 2}
    # Another treatment of the background needs the same maps.
    assert stage([row("aa"), row("bb")], background="remove", network="u2netp")[2] == 0


def test_cached_maps_are_not_computed_again_and_have_the_same_bytes(tmp_path, stage, corners):
    first, second = row("aa"), row("bb")
    assert stage([first], network="u2netp")[2] == 1
    alone = maps_of(tmp_path)
    assert stage([first, second], network="u2netp")[2] == 1
    both = maps_of(tmp_path)
    assert both["aa.png"] == alone["aa.png"] and list(both) == ["aa.png", "bb.png"]
    shutil.rmtree(tmp_path / "cache")
    assert stage([first, second], network="u2netp")[2] == 2
    assert maps_of(tmp_path) == both
    archives.put(tmp_path / "crops", {"aa.jpg": corners(26, 14)})
    assert stage([first, second], network="u2netp")[2] == 1


def test_another_network_view_or_arithmetic_has_outputs_of_its_own(tmp_path, stage):
    view = {"network": "u2netp"}
    assert stage([row("aa")], **view)[2] == 1 and stage([row("aa")], **view)[2] == 0
    for changes in ({"content": b"another"}, {"flip": True}, {"input_px": 64}):
        assert stage([row("aa")], **(view | changes))[2] == 1, changes
        assert stage([row("aa")], **(view | changes))[2] == 0, changes
    assert len(list((tmp_path / "cache").glob("*.sqlite"))) == 3


def test_one_zip_file_in_place_of_the_crops_is_refused(tmp_path):
    archives.put(tmp_path / "crops.zip", {"aa.jpg": b"any"})
    archive = ShardFolder(tmp_path / "maps", tmp_path / "memory")
    with pytest.raises(ArchiveError, match=r"crops\.zip: expected a folder of shards"):
        none = pd.Series(dtype=str)
        segmentation.write_maps(archive, none, shards.ONE_SHARD, Archive(tmp_path / "crops.zip"), {}, iter)
    assert not (tmp_path / "maps").exists()
