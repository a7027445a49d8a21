import json

import numpy as np
import pandas as pd
import pytest

from stages.core import tables
from stages.core.archive import Archive, ArchiveError
from stages.resize import __main__ as resize_stage
from stages.resize import framing
from stages.resize.settings import ResizeSettings
from stages.schemas import manifest, masks, shards
from stages.schemas import model_inputs as letterbox_table
from tests import archives

NO_BOX = (np.nan,) * 4


def settings(**changes):
    return ResizeSettings(
        **{
            "width": 16,
            "height": 16,
            "background": "remove",
            "fill": (1, 2, 3),
            "blur": 0.1,
            "format": "png",
            **changes,
        }
    )


@pytest.mark.parametrize("background", ["remove", "blur", "keep"])
def test_the_object_stays_the_background_goes_and_the_padding_is_filled(corners, background):
    crop, mask = corners(16, 8), np.zeros((8, 16), np.uint8)
    mask[:, :10] = 255
    before = crop.copy(), mask.copy()
    composed = framing.compose_input(crop, mask, settings(background=background))
    assert composed.shape == (16, 16, 3) and (composed[:4] == (1, 2, 3)).all() and (composed[12:] == (1, 2, 3)).all()
    np.testing.assert_array_equal(composed[4:12, :10], crop[:, :10])
    if background == "remove":
        assert (composed[4:12, 10:] == (1, 2, 3)).all()
    else:
        assert (background == "keep") == bool((composed[4:12, 10:] == crop[:, 10:]).all())
    np.testing.assert_array_equal(crop, before[0])
    np.testing.assert_array_equal(mask, before[1])


def test_without_a_mask_the_background_stays(corners):
    np.testing.assert_array_equal(framing.compose_input(corners(16, 16), None, settings()), corners(16, 16))


@pytest.mark.parametrize(
    ("size_wh", "expected"),
    [
        ((32, 16), (0.5, 0, 4)),
        ((16, 32), (0.5, 4, 0)),
        ((8, 8), (2.0, 0, 0)),
        ((1, 500), (1.0, 7, 0)),
        ((500, 1), (1.0, 0, 7)),
    ],
)
def test_where_the_crop_lies_in_the_padded_image(corners, size_wh, expected):
    described = framing.describe(corners(*size_wh), True, settings())
    assert (described["scale"], described["pad_left"], described["pad_top"]) == expected and described[
        "background"
    ] == "remove"
    assert framing.describe(corners(*size_wh), False, settings())["background"] == "keep"


@pytest.fixture
def stage(tmp_path, run):
    """A function that runs the stage on rows of the manifest and data/masks.csv."""
    archives.put(tmp_path / "crops", {})
    archives.put(tmp_path / "masks", {})

    def call(photos, masked, **changes):
        (tmp_path / "params.yaml").write_text(json.dumps({"resize": settings(**changes).__dict__}))
        tables.write(tmp_path / "manifest.csv", pd.DataFrame(photos, columns=list(manifest.COLUMNS)))
        tables.write(tmp_path / "masks.csv", pd.DataFrame(masked, columns=list(masks.COLUMNS)))
        shards.write(tmp_path / "shards.json", shards.ONE_SHARD)
        run(
            resize_stage,
            shards=tmp_path / "shards.json",
            memory=tmp_path / "memory",
            params=tmp_path / "params.yaml",
            manifest=tmp_path / "manifest.csv",
            crops=tmp_path / "crops",
            masks=tmp_path / "masks",
            mask_table=tmp_path / "masks.csv",
            out=tmp_path / "out",
            table=tmp_path / "table.csv",
            details=tmp_path / "m.json",
        )
        return letterbox_table.read(tmp_path / "table.csv"), json.loads((tmp_path / "m.json").read_text())

    return call


def rows(*states):
    """Rows of the manifest and of data/masks.csv: (id, status, is_masked)."""
    photos, masked = [], []
    for image_id, status, is_masked in states:
        split = "val" if status != "rejected" else ""
        manifest_status = status if status == "rejected" else "ok"
        photos.append(
            (image_id, f"{image_id}.jpg", "None", manifest_status, "", "", 5, 4, "0", image_id, split, *NO_BOX)
        )
        why = "" if is_masked else "mask_too_small"
        masked.append((image_id, f"{image_id}.jpg", status, "", 0.5, 0.9, 1, is_masked, why))
    return photos, masked


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_every_row_stays_and_each_usable_one_has_its_image(tmp_path, stage, corners, suffix):
    given = rows(
        ("a", "ok", True), ("b", "ok", False), ("c", "dropped", False), ("d", "rejected", False), ("e", "ok", True)
    )
    archives.put(tmp_path / "crops", {f"{name}.jpg": corners(32, 16) for name in "abe"})
    archives.put(tmp_path / "masks", {"a.png": np.zeros((16, 32), np.uint8)})
    table, metrics = stage(*given, format=suffix)
    assert table["status"].tolist() == ["ok", "ok", "dropped", "rejected", "failed"]
    assert table["reason"].tolist() == ["", "", "", "", "missing"]  # of e the mask is not there
    assert table["background"].tolist() == ["remove", "keep", "", "", ""]
    assert table["file"].tolist() == [f"a.{suffix}", f"b.{suffix}", "", "", ""]
    assert list(archives.take(tmp_path / "out")) == [f"a.{suffix}", f"b.{suffix}"]
    first = archives.picture(tmp_path / "out", f"a.{suffix}")
    assert first.shape == (16, 16, 3) and np.abs(first.astype(int) - [1, 2, 3]).max() <= 3
    assert metrics["photos"] == 2 and metrics["without_model_input"] == 3 and metrics["split"] == {"val": 2}


def test_tables_of_different_photos_are_refused(stage):
    photos, masked = rows(("a", "ok", False), ("b", "ok", False))
    with pytest.raises(tables.TableError, match=r"masks\.csv.*manifest\.csv"):
        stage(photos, masked[::-1])


def read(tmp_path):
    return letterbox_table.read(tmp_path / "table.csv"), json.loads((tmp_path / "m.json").read_text())


def test_no_rows_are_a_table_of_no_rows_and_an_error(tmp_path, stage):
    with pytest.raises(tables.TableError, match=r"table\.csv: expected usable photos, found none in 0 rows"):
        stage([], [])
    table, metrics = read(tmp_path)
    assert len(table) == 0 and metrics["photos"] == 0


def test_a_class_all_of_whose_train_photos_were_dropped_is_an_error_that_names_it(tmp_path, stage, corners):
    photos, masked = rows(("a", "ok", False), ("b", "dropped", False), ("c", "dropped", False), ("d", "ok", False))
    # Of class Van one photo is left, in val: the models would never see the class.
    labels, splits = ("None", "Van", "Van", "Van"), ("train", "train", "train", "val")
    photos = [(*photo[:2], label, *photo[3:10], split, *NO_BOX) for photo, label, split in zip(photos, labels, splits)]
    masked = [(*mask[:3], "low_score" if mask[2] == "dropped" else "", *mask[4:]) for mask in masked]
    archives.put(tmp_path / "crops", {f"{name}.jpg": corners(32, 16) for name in "ad"})
    with pytest.raises(tables.TableError, match=r"a train photo of each class, found none of `Van` \(2 low_score\)"):
        stage(photos, masked)
    assert read(tmp_path)[0]["status"].tolist() == ["ok", "dropped", "dropped", "ok"]


def test_a_mask_of_another_size_than_its_crop_is_one_failed_row(tmp_path, stage, corners):
    archives.put(tmp_path / "crops", {"a.jpg": corners(32, 16)})
    archives.put(tmp_path / "masks", {"a.png": np.zeros((16, 31), np.uint8)})
    with pytest.raises(tables.TableError, match=r"none in 1 rows \(1 mask_size\)"):
        stage(*rows(("a", "ok", True)))
    table, _ = read(tmp_path)
    assert table["status"].tolist() == ["failed"] and table["reason"].tolist() == ["mask_size"]


def test_one_zip_file_in_place_of_the_masks_is_refused(tmp_path):
    archives.put(tmp_path / "crops", {})
    archives.put(tmp_path / "masks.zip", {})
    sources = Archive(tmp_path / "crops"), Archive(tmp_path / "masks.zip")
    with pytest.raises(ArchiveError, match=r"masks\.zip: expected a folder of shards"):
        framing.write_model_inputs(tmp_path / "out", tmp_path / "memory", {}, *sources, settings())
    assert not (tmp_path / "out").exists()
