"""`predict --explain` on a bundle of tiny networks, whose maps are the colours of a photo."""

import sys

import numpy as np
import pandas as pd
import pytest

from stages.commands import ensemble_heat_maps, predict, trained_ensemble
from stages.commands.ensemble_heat_maps import EnsembleHeatMaps, ExplainedModel, PredictedPhoto
from stages.commands.inference_pipeline import MainCarBox, ModelInputs
from stages.core.errors import UserError
from stages.images import images
from stages.images.mask_window import Part
from stages.images.settings import InputSettings
from tests import hostile
from tests.commands import tiny_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return tiny_bundle.make(tmp_path_factory.mktemp("tiny"))


def blue_spot(width=200, height=120):
    """A dark photo, without a car, with a blue spot at the lower right."""
    photo = np.full((height, width, 3), 20, np.uint8)
    photo[80:110, 150:190] = (0, 0, 255)
    return photo


def call(monkeypatch, bundle, *words):
    monkeypatch.setattr(sys, "argv", ["predict", *map(str, words), "--model", str(bundle)])
    predict.main()


def heat(picture):
    """How much colour each pixel has: the photo below is grey."""
    return picture.max(axis=2).astype(int) - picture.min(axis=2)


def test_every_readable_photo_has_a_picture_and_a_row(tmp_path, bundle, monkeypatch, capsys):
    folder, out = tmp_path / "photos", tmp_path / "maps"
    (folder / "b").mkdir(parents=True)
    content = images.encode(blue_spot(), ".png")
    for name in ("a.png", "b/a.png", "b/Käfer <1>.png"):
        (folder / name).write_bytes(content)
    (folder / "cut.jpg").write_bytes(hostile.saved(hostile.picture(3, 90, 80), "jpg")[:700])
    (folder / "notes.txt").write_text("no photo")
    call(monkeypatch, bundle, folder, "--explain", out, "--out", tmp_path / "p.csv")
    rows, table = pd.read_csv(out / "index.csv"), pd.read_csv(tmp_path / "p.csv").dropna(subset="label")
    assert rows["path"].tolist() == table["path"].tolist() and len(rows) == 3
    assert rows["label"].tolist() == ["blue <b>"] * 3 and rows["probability"].tolist() == table["probability"].tolist()
    assert sorted(path.name for path in out.iterdir()) == sorted([*rows["heat_map"], "index.csv"])
    assert rows["heat_map"].str.fullmatch(r"00000\d_[A-Za-z0-9-]+_blue-b_0\.\d\d\.jpg").all()
    closing = capsys.readouterr().err.splitlines()[-1]
    assert closing == f"predict: 3 photos classified, 1 not readable, 1 files are no photos, 3 heat maps in {out}"
    picture = images.decode((out / rows["heat_map"][0]).read_bytes())
    assert picture.shape == (120, 200, 3)
    spot, rest = heat(picture)[85:105, 155:185], heat(picture)[:60, :120]
    assert spot.min() > 60 and spot.mean() > 3 * rest.mean()


def test_without_photos_the_table_is_empty(tmp_path, bundle, monkeypatch, capsys):
    call(monkeypatch, bundle, tmp_path / "lost.jpg", "--explain", tmp_path / "maps")
    assert [path.name for path in (tmp_path / "maps").iterdir()] == ["index.csv"]
    assert len(pd.read_csv(tmp_path / "maps" / "index.csv")) == 0
    assert "0 photos classified, 1 not readable, 0 files are no photos, 0 heat maps" in capsys.readouterr().err


def test_a_folder_with_files_and_a_cluster_are_refused(tmp_path, bundle, monkeypatch):
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "mine.txt").touch()
    (tmp_path / "a.png").write_bytes(images.encode(blue_spot(), ".png"))
    with pytest.raises(UserError, match=r"--explain .*maps: expected a new or empty folder, found one with mine\.txt"):
        call(monkeypatch, bundle, tmp_path / "a.png", "--explain", tmp_path / "maps")
    with pytest.raises(UserError, match="found a file"):
        call(monkeypatch, bundle, tmp_path / "a.png", "--explain", tmp_path / "a.png")
    with pytest.raises(UserError, match="--explain: expected the engine local"):
        call(monkeypatch, bundle, tmp_path / "a.png", "--explain", tmp_path / "new", "--engine", "ray")
    assert not (tmp_path / "new").exists()


def item(region, **changes):
    return InputSettings(region=region, background="keep", width=40, height=20).replace(**changes)


def at(row, column, shape=(20, 40)):
    """A function for a model that looks at one place of its input."""
    shares = np.zeros((1, *shape))
    shares[0, row, column] = 1
    return lambda *_: shares


def drawn(models, box, side=1000, parts=None):
    """The picture of a grey photo of 400 x 300 with a box, by models that look where they are told."""
    content = images.encode(np.full((300, 400, 3), 90, np.uint8), ".png")
    shown = {name: np.zeros((20, 40, 3), np.uint8) for name in ("crop", "whole")}
    made = ModelInputs(shown, "", (400, 300), MainCarBox(np.array(box, np.float64), 0.9), parts)
    maps = EnsembleHeatMaps(models, margin=0.0)
    (picture,) = maps.draw([PredictedPhoto(made, 0)], [lambda: content], side)
    return picture


def test_maps_of_crops_lie_on_the_crop():
    """The box of 100 x 100 is padded to 40 x 20: drawn as 20 x 20 from column 10 on, 5 photo pixels each."""
    models = {"a": ExplainedModel(at(2, 13), "crop", item("box"), 1.0)}
    picture = drawn(models, (200, 50, 300, 150))
    assert picture.shape == (100, 100, 3)
    rows, columns = np.nonzero(heat(picture) > 0.6 * heat(picture).max())
    assert rows.min() >= 8 and rows.max() <= 16 and columns.min() >= 13 and columns.max() <= 21


def test_maps_of_crops_cut_to_their_mask_lie_there():
    """The model sees the lower right quarter of the crop, stretched to 40 x 20: a place is 1.25 x 2.5 pixels of it."""
    models = {"a": ExplainedModel(at(4, 36), "crop", item("box", fit="squash"), 1.0)}
    picture = drawn(models, (200, 50, 300, 150), parts={"crop": Part(0.5, 0.5, 1, 1)})
    assert picture.shape == (100, 100, 3)
    rows, columns = np.nonzero(heat(picture) > 0.6 * heat(picture).max())
    assert rows.min() >= 58 and rows.max() <= 64 and columns.min() >= 93 and columns.max() <= 97


def test_a_model_that_sees_the_photo_brings_the_crop_back_to_the_photo():
    """The crop's model looks at its upper left corner, the other at the middle of the photo, squashed to 40 x 20."""
    models = {
        "a": ExplainedModel(at(0, 10), "crop", item("box"), 0.15),
        "b": ExplainedModel(at(10, 20), "whole", item("full_image", fit="squash"), 0.85),
    }
    picture = drawn(models, (200, 50, 300, 150), side=200)
    assert picture.shape == (150, 200, 3)
    hot = heat(picture) > 20
    # At half the size the crop begins at row 25 and column 100; row 10 of 20 is 75 to 82, column 20 is 100 to 105.
    assert hot[25:28, 100:103].any() and hot[75:83, 100:105].any()
    assert not hot[:25].any() and not hot[35:65].any() and not hot[:, :92].any() and not hot[:, 113:].any()


def test_a_photo_that_is_gone_has_no_picture():
    def gone():
        raise images.ImageError("missing", "a.jpg")

    made = ModelInputs({"crop": np.zeros((20, 40, 3), np.uint8)}, "", (400, 300), None)
    maps = EnsembleHeatMaps({"a": ExplainedModel(at(0, 0), "crop", item("box"), 1.0)}, 0.0)
    assert maps.draw([PredictedPhoto(made, 0)], [gone], 64) == [None] and maps.draw([], [], 64) == []


def test_the_weights_of_the_ensemble_weigh_the_maps(bundle):
    files = trained_ensemble.of_bundle(bundle)
    maps = ensemble_heat_maps.load(files)
    assert {name: model.weight for name, model in maps._models.items()} == {"a": 0.75, "b": 0.25}
    assert [model.input for model in maps._models.values()] == ["removed", "kept"]
