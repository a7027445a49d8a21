import json

import numpy as np
import pandas as pd
import pytest
import yaml

from stages.core import tables
from stages.core.archive import Archive, ArchiveError
from stages.core.errors import TableError
from stages.core.settings import SettingsError
from stages.core.shard_writer import ShardFolder
from stages.images.errors import ImageError
from stages.mask import __main__ as mask_stage
from stages.mask import masking
from stages.mask.masking import write_masks
from stages.mask.settings import MaskSettings
from stages.schemas import crops, masks, shards
from tests import archives
from tests.segment.test_segmentation import row

RULE = {"weights": {"a": 1, "b": 1}, "min_region": 0.1, "min_agreement": 0.5, "min_coverage": 0.1, "max_coverage": 0.9}


def band(x_min, x_max):
    saliency_map = np.zeros((10, 10), np.uint8)
    saliency_map[2:8, x_min:x_max] = 255
    return saliency_map


@pytest.fixture
def stage(tmp_path, run, corners):
    """A function that runs the stage on crops of 40 x 20 pixels with the given maps of `a` and `b`."""

    def call(rows, maps, background="remove", **rule):
        for name in ("crops", "maps/a", "maps/b"):
            archives.put(tmp_path / name, {})
        for image_id, pair in maps.items():
            archives.put(tmp_path / "crops", {f"{image_id}.jpg": corners(40, 20)})
            for name, saliency_map in zip("ab", pair):
                if saliency_map is not None:
                    archives.put(tmp_path / "maps" / name, {f"{image_id}.png": saliency_map})
        segmenters = {name: {"network": "u2netp"} for name in "ab"}
        content = {"mask": RULE | rule, "segmenters": segmenters, "models": {"m": {"input": "i"}}}
        content["inputs"] = {"i": {"background": background, "width": 16, "height": 16}}
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(content))
        tables.write(tmp_path / "boxes.csv", pd.DataFrame(rows, columns=list(crops.COLUMNS)))
        names = {
            "params": "params.yaml",
            "boxes": "boxes.csv",
            "table": "masks.csv",
            "metrics": "m.json",
            "details": "details.json",
        }
        shards.write(tmp_path / "shards.json", shards.ONE_SHARD)
        names |= {"shards": "shards.json", "memory": "memory", "crops": "crops", "maps": "maps", "masks": "masks"}
        run(mask_stage, **{name: tmp_path / file for name, file in names.items()})
        return masks.read(tmp_path / "masks.csv"), json.loads((tmp_path / "details.json").read_text())

    return call


def test_where_no_mask_is_used_none_is_made_and_no_crop_fails(tmp_path, stage):
    table, details = stage([row("aa"), row("bb", "failed")], {"aa": (None, None)}, background="keep")
    assert table["status"].tolist() == ["ok", "failed"] and not table["is_masked"].any()
    assert table["coverage"].isna().all() and (table["mask_reason"] == "").all()
    assert details == {"crops": 1, "masked": 0, "reason": {}} and archives.take(tmp_path / "masks") == {}


def test_each_crop_gets_one_mask_or_the_reason_for_none(tmp_path, stage):
    whole, left, right, thin = band(1, 9), band(1, 5), band(5, 9), band(4, 5)
    maps = {"aa": (whole, whole), "bb": (left, right), "cc": (thin, thin)}
    table, metrics = stage([*map(row, ("aa", "bb", "cc")), row("ee", "failed")], maps)
    assert table["mask_reason"].tolist() == ["", "masks_disagree", "mask_too_small", ""]
    assert table["is_masked"].tolist() == [True] + [False] * 3
    assert table["status"].tolist() == ["ok", "ok", "ok", "failed"]
    assert table["reason"].tolist() == [""] * 4
    assert table["agreement"][:3].tolist() == [1.0, 0.0, 1.0] and table["n_regions"].tolist() == [1, 1, 1, 0]
    assert table.loc[3:, ["coverage", "agreement"]].isna().all(axis=None)
    mask = archives.mask(tmp_path / "masks", "aa.png")
    assert list(archives.take(tmp_path / "masks")) == ["aa.png", "bb.png", "cc.png"]
    assert mask.shape == (20, 40) and mask[10, 20] == 255 and mask[0, 0] == 0
    assert metrics["crops"] == 3 and metrics["masked"] == 1 and metrics["median_agreement"] == 1.0
    assert metrics["reason"] == {"masks_disagree": 1, "mask_too_small": 1}


def test_a_missing_map_is_an_error_that_names_it(stage):
    with pytest.raises(ImageError, match=r"missing: .*b: expected a file dd\.png in the archive, found none"):
        stage([row("dd")], {"dd": (band(1, 9), None)})


def test_a_segmenter_of_weight_zero_does_not_count(stage):
    table, metrics = stage([row("aa")], {"aa": (band(1, 5), band(5, 9))}, weights={"a": 1, "b": 0})
    assert table["is_masked"].tolist() == [True] and table["agreement"].isna().all()
    assert "median_agreement" not in metrics


def test_no_crop_at_all_is_an_error_after_the_tables(tmp_path, stage):
    with pytest.raises(TableError, match=r"masks\.csv: expected usable photos, found none in 0 rows"):
        stage([], {})
    table, metrics = masks.read(tmp_path / "masks.csv"), json.loads((tmp_path / "details.json").read_text())
    assert len(table) == 0 and metrics == {"crops": 0, "masked": 0, "reason": {}}


def test_maps_of_a_segmenter_that_is_no_more_go(tmp_path, stage, capsys):
    for name in ("old", ".hidden"):
        archives.put(tmp_path / "maps" / name, {})
    stage([row("aa")], {"aa": (band(1, 9), band(1, 9))})
    left = {path.name for path in (tmp_path / "maps").iterdir()}
    assert left == {"a", "b", ".hidden"}
    assert "old: params.yaml names no such segmenter" in capsys.readouterr().err


@pytest.mark.parametrize("weights", [{"a": 1}, {"a": 1, "b": 1, "c": 1}])
def test_weights_that_do_not_fit_the_segmenters_are_refused(stage, weights):
    with pytest.raises(SettingsError, match=r"mask\.weights.*`[bc]` is on one side only"):
        stage([row("aa")], {"aa": (band(1, 9), band(1, 9))}, weights=weights)


def test_one_zip_file_in_place_of_the_maps_is_refused(tmp_path):
    archives.put(tmp_path / "crops", {})
    archives.put(tmp_path / "a.zip", {"aa.png": band(1, 9)})
    maps = {"a": Archive(tmp_path / "a.zip")}
    with pytest.raises(ArchiveError, match=r"a\.zip: expected a folder of shards"):
        archive = ShardFolder(tmp_path / "masks", tmp_path / "memory")
        none = pd.Series(dtype=str)
        write_masks(archive, none, shards.ONE_SHARD, Archive(tmp_path / "crops"), maps, MaskSettings(**RULE))
    assert not (tmp_path / "masks").exists()


def test_rows_are_those_of_their_crops_whatever_the_order_of_shards(tmp_path, corners):
    for name, saliency_map in {"aa": band(4, 5), "bb": band(1, 9), "cc": band(1, 9)}.items():
        for folder, content in {"crops": {f"{name}.jpg": corners(40, 20)}, "a": {f"{name}.png": saliency_map}}.items():
            archives.put(tmp_path / folder, content)
    image_ids = pd.Series(["aa", "bb", "cc"], [3, 5, 8])
    assignment = shards.ONE_SHARD._replace(later={"aa": 1})
    archive, maps = ShardFolder(tmp_path / "masks", tmp_path / "memory"), {"a": Archive(tmp_path / "a")}
    rule = MaskSettings(**RULE | {"weights": {"a": 1}})
    for _ in range(2):
        found = write_masks(archive, image_ids, assignment, Archive(tmp_path / "crops"), maps, rule)
        assert found["mask_reason"].to_dict() == {5: "", 8: "", 3: "mask_too_small"}
        assert found["n_regions"].tolist() == [1, 1, 1] and found["agreement"].isna().all()
    boxes = pd.DataFrame({name: list("0123456789") for name in masks.OF_BOXES})
    table = masking.complete(boxes, found)
    assert table["is_masked"].tolist() == [number in (5, 8) for number in range(10)]
    assert table["mask_reason"].tolist() == [""] * 3 + ["mask_too_small"] + [""] * 6
    assert table["n_regions"].tolist() == [int(number in (3, 5, 8)) for number in range(10)]


def test_a_mask_that_people_decided_against_is_not_used():
    table = pd.DataFrame(
        {"image_id": ["a", "b", "c"], "is_masked": [True, True, False], "mask_reason": ["", "", "mask_too_small"]}
    )
    decisions = pd.DataFrame({"image_id": ["a", "b", "c"], "kind": ["no_mask", "label", "no_mask"]})
    kept = masking.keep_backgrounds(table, decisions)
    assert kept["is_masked"].tolist() == [False, True, False]
    assert kept["mask_reason"].tolist() == ["background_kept_by_review", "", "mask_too_small"]
