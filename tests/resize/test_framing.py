import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stages.core import tables
from stages.core.archive import Archive, ArchiveError
from stages.core.errors import TableError
from stages.core.settings import SettingsError
from stages.core.shard_writer import ShardFolder
from stages.images import images
from stages.images.settings import InputSettings
from stages.resize import __main__ as resize_stage
from stages.resize import framing
from stages.resize.composer import Composer
from stages.resize.framing import Sources
from stages.resize.settings import ResizeSettings
from stages.schemas import masks, shards, split_table
from stages.sources.photos import Photos
from stages.sources.settings import SourceSettings
from tests import archives

FILL = (1, 2, 3)


def composer(suffix="png", **changes):
    item = InputSettings(**{"width": 16, "height": 16, "background": "remove"} | changes)
    return Composer(item, ResizeSettings(fill=FILL, blur=0.1, format=suffix))


@pytest.mark.parametrize("background", ["remove", "blur", "keep"])
def test_the_object_stays_the_background_goes_and_the_padding_is_filled(corners, background):
    crop, mask = corners(16, 8), np.zeros((8, 16), np.uint8)
    mask[:, :10] = 255
    before = crop.copy(), mask.copy()
    composed = composer(background=background).of_crop(crop, mask)
    assert composed.shape == (16, 16, 3) and (composed[:4] == FILL).all() and (composed[12:] == FILL).all()
    np.testing.assert_array_equal(composed[4:12, :10], crop[:, :10])
    if background == "remove":
        assert (composed[4:12, 10:] == FILL).all()
    else:
        assert (background == "keep") == bool((composed[4:12, 10:] == crop[:, 10:]).all())
    np.testing.assert_array_equal(crop, before[0])
    np.testing.assert_array_equal(mask, before[1])


def test_without_a_mask_the_background_stays(corners):
    np.testing.assert_array_equal(composer().of_crop(corners(16, 16), None), corners(16, 16))


@pytest.mark.parametrize("background", ["remove", "keep"])
def test_a_crop_is_cut_to_its_mask_and_a_margin(corners, background):
    """The mask of 4 x 8 pixels has a margin of 2 on every side: 8 x 12 of the crop, stretched to twice the size."""
    crop, mask = corners(40, 24), np.zeros((24, 40), np.uint8)
    mask[8:16, 20:24] = 255
    changes = {"mask_margin": 0.25, "fit": "squash", "width": 16, "height": 24}
    found = composer(background=background, **changes).of_crop(crop, mask).astype(int)
    assert found.shape == (24, 16, 3)
    np.testing.assert_allclose(found[[5, 18, 18], [9, 9, 6]], crop[[8, 15, 15], [22, 22, 21]], atol=8)
    around = FILL if background == "remove" else crop[6, 18]
    np.testing.assert_allclose(found[0, 0], around, atol=8)
    whole = composer(background=background, **changes).of_crop(crop, None)
    np.testing.assert_array_equal(
        whole, composer(background="keep", **changes | {"mask_margin": None}).of_crop(crop, mask)
    )


@pytest.mark.parametrize(("fit", "left"), [("pad", 4), ("squash", 0)])
def test_a_whole_photo_is_the_image_as_people_hold_it_in_the_frame(corners, tmp_path, fit, left):
    """A photo of 80 x 160 is stored on its side; in a frame of 16 x 16 it is 8 pixels wide, or squashed to 16."""
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "a.jpg"
    Image.fromarray(np.ascontiguousarray(np.rot90(corners(80, 160)))).save(path, exif=exif, quality=98, subsampling=0)
    made = composer(region="full_image", background="keep", fit=fit).of_photo(path.read_bytes())
    assert made.shape == (16, 16, 3)
    if left:
        assert (made[:, :left] == FILL).all() and (made[:, -left:] == FILL).all()
    columns = [left + 1, 14 - left]
    expected = corners(2, 2)
    np.testing.assert_allclose(made[[1, 14]][:, columns].astype(int), expected, atol=6)


def test_masks_are_made_of_crops_so_whole_photos_keep_their_background():
    with pytest.raises(
        ValueError, match=r"background: expected keep with region full_image.*set crop\.mode to full_image"
    ):
        InputSettings(region="full_image", background="remove", width=16, height=16)
    with pytest.raises(ValueError, match=r"mask_margin: expected null with region full_image.*found 0\.0; to mask"):
        InputSettings(region="full_image", background="keep", mask_margin=0.0, width=16, height=16)


@pytest.fixture
def stage(tmp_path, run):
    """A function that runs the stage on rows of data/splits.csv and data/masks.csv."""
    archives.put(tmp_path / "crops", {})
    archives.put(tmp_path / "masks", {})

    def call(photos, masked, suffix="png", model="seen", **changes):
        item = {"width": 16, "height": 16, "background": "remove"} | changes
        content = {"inputs": {"seen": item, "other": item}, "models": {"m": {"input": model}}}
        content |= {"resize": {"fill": FILL, "blur": 0.1, "format": suffix}, "ingest": {"source": str(tmp_path)}}
        (tmp_path / "params.yaml").write_text(json.dumps(content))
        tables.write(tmp_path / "splits.csv", pd.DataFrame(photos, columns=list(split_table.COLUMNS)))
        tables.write(tmp_path / "masks.csv", pd.DataFrame(masked, columns=list(masks.COLUMNS)))
        shards.write(tmp_path / "shards.json", shards.ONE_SHARD)
        paths = {name: tmp_path / name for name in ("memory", "crops", "masks", "out")}
        paths |= {name: tmp_path / f"{name}.csv" for name in ("splits",)}
        paths |= {"params": tmp_path / "params.yaml", "shards": tmp_path / "shards.json"}
        run(resize_stage, input="seen", mask_table=tmp_path / "masks.csv", details=tmp_path / "m.json", **paths)
        return archives.take(tmp_path / "out"), json.loads((tmp_path / "m.json").read_text())

    return call


def rows(*states):
    """Rows of data/splits.csv and of data/masks.csv: (id, status, is_masked)."""
    photos, masked = [], []
    for image_id, status, is_masked in states:
        split = "val" if status != "rejected" else ""
        photos.append((image_id, f"{image_id}.jpg", "None", image_id, split, status, ""))
        why = "" if is_masked else "mask_too_small"
        masked.append((image_id, f"{image_id}.jpg", status, "", 0.5, 0.9, 1, is_masked, why))
    return photos, masked


@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_each_used_photo_has_its_image(tmp_path, stage, corners, suffix):
    given = rows(("a", "ok", True), ("b", "ok", False), ("c", "dropped", False), ("d", "rejected", False))
    archives.put(tmp_path / "crops", {f"{name}.jpg": corners(32, 16) for name in "ab"})
    archives.put(tmp_path / "masks", {"a.png": np.zeros((16, 32), np.uint8)})
    made, metrics = stage(*given, suffix)
    assert list(made) == [f"a.{suffix}", f"b.{suffix}"]
    first = archives.picture(tmp_path / "out", f"a.{suffix}")
    assert first.shape == (16, 16, 3) and np.abs(first.astype(int) - FILL).max() <= 3
    assert metrics == {"photos": 2, "background": {"remove": 1, "keep": 1}, "cut_to_mask": 0, "split": {"val": 2}}


def test_an_input_that_keeps_backgrounds_needs_no_masks_and_is_not_made_again_for_new_ones(tmp_path, stage, corners):
    archives.put(tmp_path / "crops", {"a.jpg": corners(32, 16)})
    made, metrics = stage(*rows(("a", "ok", True)), background="keep")
    assert metrics["background"] == {"keep": 1}
    before = next((tmp_path / "out").glob("*.zip")).stat().st_mtime_ns
    archives.put(tmp_path / "masks", {"a.png": np.zeros((16, 32), np.uint8)})
    assert stage(*rows(("a", "ok", False)), background="keep")[0] == made
    assert next((tmp_path / "out").glob("*.zip")).stat().st_mtime_ns == before


def test_an_input_that_is_cut_to_masks_is_made_again_for_new_ones(tmp_path, stage, corners):
    crop, mask = corners(32, 16), np.zeros((16, 32), np.uint8)
    mask[8:, 16:] = 255
    archives.put(tmp_path / "crops", {"a.jpg": crop})
    archives.put(tmp_path / "masks", {"a.png": mask})
    changes = {"background": "keep", "mask_margin": 0.0, "fit": "squash"}
    made, metrics = stage(*rows(("a", "ok", True)), **changes)
    assert metrics["background"] == {"keep": 1} and metrics["cut_to_mask"] == 1
    np.testing.assert_allclose(archives.picture(tmp_path / "out", "a.png")[8, 8], crop[12, 24], atol=8)
    other, metrics = stage(*rows(("a", "ok", False)), **changes)
    assert other != made and metrics["cut_to_mask"] == 0


def test_whole_photos_are_read_from_the_source_and_named_where_they_are_gone(tmp_path, stage, corners):
    content = images.encode(corners(32, 16), ".png")
    (tmp_path / "a.jpg").write_bytes(content)
    photos, masked = rows((images.image_id(content), "ok", True))
    photos = [(photos[0][0], "a.jpg", *photos[0][2:])]
    masked = [(masked[0][0], "a.jpg", *masked[0][2:])]
    whole = {"region": "full_image", "background": "keep"}
    stage(photos, masked, **whole)
    made = archives.picture(tmp_path / "out", f"{photos[0][0]}.png")
    np.testing.assert_array_equal(made[4:12], composer(**whole).of_crop(corners(32, 16), None)[4:12])
    (tmp_path / "a.jpg").unlink()
    for path in (tmp_path / "memory").iterdir():
        path.unlink()
    with pytest.raises(images.ImageError, match=r"a\.jpg"):
        stage(photos, masked, **whole)


def test_an_input_that_no_model_names_is_not_made(tmp_path, stage, corners, capsys):
    archives.put(tmp_path / "crops", {"a.jpg": corners(32, 16)})
    made, metrics = stage(*rows(("a", "ok", False)), model="other")
    assert made == {} and metrics["photos"] == 0
    assert "resize seen: no model names this input: nothing is made" in capsys.readouterr().err


def test_a_model_that_names_no_input_is_refused(stage):
    with pytest.raises(
        SettingsError, match=r"models\.m\.input: expected an entry of `inputs`, found `sen`; did you mean `seen`"
    ):
        stage(*rows(("a", "ok", False)), model="sen")


def test_tables_of_different_photos_are_refused(stage):
    photos, masked = rows(("a", "ok", False), ("b", "ok", False))
    with pytest.raises(TableError, match=r"masks\.csv.*splits\.csv"):
        stage(photos, masked[::-1])


def test_no_rows_are_no_images(stage):
    made, metrics = stage([], [])
    assert made == {} and metrics == {"photos": 0, "background": {}, "cut_to_mask": 0, "split": {}}


def test_a_mask_of_another_size_than_its_crop_is_an_error_that_names_both(tmp_path, stage, corners):
    archives.put(tmp_path / "crops", {"a.jpg": corners(32, 16)})
    archives.put(tmp_path / "masks", {"a.png": np.zeros((16, 31), np.uint8)})
    expected = "a.png: expected the crop's height and width (16, 32), found (16, 31); run `dvc repro -sf mask`"
    with pytest.raises(images.ImageError, match=re.escape(expected)):
        stage(*rows(("a", "ok", True)))


def test_a_missing_crop_is_an_error_that_names_it(stage):
    with pytest.raises(images.ImageError, match=r"missing: .*crops: expected a file a\.jpg"):
        stage(*rows(("a", "ok", False)))


def test_one_zip_file_in_place_of_the_masks_is_refused(tmp_path):
    archives.put(tmp_path / "crops", {})
    archives.put(tmp_path / "masks.zip", {})
    photos = Photos(SourceSettings(source=str(tmp_path)))
    sources = Sources(Archive(tmp_path / "crops"), Archive(tmp_path / "masks.zip"), photos)
    with pytest.raises(ArchiveError, match=r"masks\.zip: expected a folder of shards"):
        none = pd.DataFrame(columns=list(framing.UsedPhoto._fields))
        archive = ShardFolder(tmp_path / "out", tmp_path / "memory")
        framing.write_model_inputs(archive, none, shards.ONE_SHARD, sources, composer(), "seen")
    assert not (tmp_path / "out").exists()
