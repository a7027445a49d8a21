"""Advice on inputs and backbones, with networks whose features are the mean colours of the image."""

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import yaml

from stages.commands import advice, advise
from stages.commands.advice import Extracted, Probed
from stages.core import tables
from stages.images.settings import InputSettings
from stages.probe.settings import ProbeSettings
from stages.schemas import advice as advice_file
from stages.schemas import masks, split_table
from tests import archives

ROOT = Path(__file__).parents[2]
BASE = InputSettings(background="remove", width=64, height=40)


def colours(*_):
    """Mean colours of the image: what is told apart by colour is told apart by these."""
    return SimpleNamespace(predict_on_batch=lambda batch: batch.mean(axis=(1, 2)) / 255)


def test_the_base_comes_first_and_each_input_once():
    own = BASE.replace(background="keep", width=96)
    names = list(advice.variants(BASE, [BASE, own]))
    assert names[0] == "remove 64x40" and names[-1] == "keep 96x40" and len(names) == 15
    sizes = {name.split()[-1] for name in names if name.startswith("keep ")}
    assert sizes == {"40x32", "64x40", "80x48", "96x64", "96x40"}  # multiples of 8, of 0.625, 1, 1.25 and 1.5
    assert {"blur 64x40", "remove squash 64x40", "remove reflect 64x40"} < set(names)
    assert {"remove cut 64x40", "remove cut squash 64x40"} < set(names)
    assert "full_image 64x40" in names


def test_around_a_crop_cut_to_its_mask_the_whole_crop_is_tried_too():
    names = list(advice.variants(BASE.replace(mask_margin=0.05, fit="squash"), []))
    assert names[0] == "remove cut squash 64x40" and {"remove squash 64x40", "full_image squash 64x40"} < set(names)
    assert advice.input_name(BASE.replace(mask_margin=0.0)) == "remove cut 0.0 64x40"
    assert len(names) == len(set(names)) and "keep cut squash 80x48" in names


def test_around_a_whole_photo_crops_are_tried_too():
    names = list(advice.variants(BASE.replace(region="full_image", background="keep"), []))
    assert names[0] == "full_image 64x40" and "remove 64x40" in names and len(names) == 14


def test_features_come_in_the_order_of_the_images_whatever_the_batch_size():
    images = [np.full((4, 6, 3), value, np.uint8) for value in (51, 102, 255)]
    found = advice.extract(iter(images), {"a": colours()}, 2)["a"]
    np.testing.assert_allclose(found.values[:, 0], [0.2, 0.4, 1.0])
    assert found.seconds >= 0


def test_differences_are_of_log_loss_and_the_mean_of_both_may_gain_where_one_does_not():
    """The base has the label's probability 0.5 twice, the other 0.9 and 0.1: the mean has 0.7 and 0.3."""
    labels, groups = np.array([0, 1]), ["a", "b"]
    base = Probed(np.array([[0.5, 0.5], [0.5, 0.5]]), 2.0)
    other = Probed(np.array([[0.9, 0.1], [0.9, 0.1]]), 3.0)
    row = advice.row(other, base, labels, groups)
    assert row["accuracy"] == 0.5 and row["time"] == 1.5
    assert row["log_loss"] == pytest.approx(-(np.log(0.9) + np.log(0.1)) / 2)
    assert row["gain"] == pytest.approx(row["log_loss"] - np.log(2))
    assert row["both_gain"] == pytest.approx(-(np.log(0.7) + np.log(0.3)) / 2 - np.log(2))
    assert row["gain_low"] == pytest.approx(np.log(0.5 / 0.9)) and row["gain_high"] == pytest.approx(np.log(0.5 / 0.1))


def test_a_probe_predicts_each_photo_by_others():
    """One photo of each colour has the other's label: out of fold its label is improbable."""
    labels = np.array([0, 1] * 10)
    values = np.eye(2, dtype=np.float32)[labels]
    labels[:2] = [1, 0]
    rule = ProbeSettings(l2=(0.01,), folds=5)
    probed = advice.probe(Extracted(values, 1.0), labels, [str(n) for n in range(20)], 2, rule)
    own = probed.probabilities[np.arange(20), labels]
    assert (own[:2] < 0.3).all() and (own[2:] > 0.7).all()


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Twelve photos of train, red on the left or the right of a blue crop, whose masks show the red part alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(advise, "load_networks", lambda names, *_: {name: halves() for name in names})
    monkeypatch.setattr(advise.runtime, "configure", lambda *_: None)
    rows, masked, crops_, masks_ = [], [], {}, {}
    for number in range(12):
        name, side = f"{number:02d}", number % 2
        crop, mask = np.full((40, 64, 3), (0, 0, 255), np.uint8), np.zeros((40, 64), np.uint8)
        half = np.s_[:, 32:] if side else np.s_[:, :32]
        crop[half], mask[half] = (255, 0, 0), 255
        crops_[f"{name}.jpg"], masks_[f"{name}.png"] = crop, mask
        rows.append((name, f"{name}.jpg", "lr"[side], name, "train" if number < 10 else "test", "ok", ""))
        masked.append((name, f"{name}.jpg", "ok", "", 0.5, np.nan, 1, True, ""))
    Path("data").mkdir()
    archives.put(Path("data/crops"), crops_)
    archives.put(Path("data/masks"), masks_)
    tables.write(Path("data/splits.csv"), pd.DataFrame(rows, columns=list(split_table.COLUMNS)))
    tables.write(Path("data/masks.csv"), pd.DataFrame(masked, columns=list(masks.COLUMNS)))
    Path("data/classes.txt").write_text("l\nr\n")
    (tmp_path / "data/photos").mkdir()
    for number in range(12):
        Path(f"data/photos/{number:02d}.jpg").write_bytes(archives.take(Path("data/crops"))[f"{number:02d}.jpg"])
    content = {
        "runtime": {},
        "ingest": {"source": "data/photos"},
        "inputs": {"mine": {"background": "remove", "width": 64, "height": 40}},
        "resize": {"fill": [127, 127, 127], "blur": 0.02, "format": "png"},
        "train": {"batch_size": 4},
        "probe": {"l2": [0.01], "folds": 5},
        "models": {"m": {"backbone": "efficientnet_lite0", "weights": "none", "input": "mine"}},
    }
    Path("params.yaml").write_text(yaml.safe_dump(content))
    return tmp_path


def halves():
    """Mean colours of the left half and of the right half."""

    def features(batch):
        middle = batch.shape[2] // 2
        parts = batch[:, :, :middle], batch[:, :, middle:]
        return np.concatenate([part.mean(axis=(1, 2)) / 255 for part in parts], axis=1)

    return SimpleNamespace(predict_on_batch=features)


def test_the_command_ranks_inputs_of_train_photos_and_writes_them_for_the_report(project, run, capsys, monkeypatch):
    # The ids of this project are no hashes, so whole photos are read without comparing them.
    monkeypatch.setattr(advise.Photos, "load", lambda _, path, *__: (project / "data/photos" / path).read_bytes())
    run(advise)
    out = capsys.readouterr().out
    assert "advise: 14 inputs, 1 backbones, 10 photos" in out and "base: remove 64x40" in out
    assert max(len(line) for line in out.splitlines()) <= 100
    found = advice_file.read(Path("metrics/advice.json"), Path("data/splits.csv"))
    assert found is not None and found.n_photos == 10 and found.base == "remove 64x40"
    assert found.rows[0]["input"] == found.base and found.rows[0]["gain"] == 0
    assert {row["accuracy"] for row in found.rows} == {1.0}
    text = Path("data/splits.csv").read_text()
    Path("data/splits.csv").write_text(text.replace(",l,", ",r,", 1))
    assert advice_file.read(Path("metrics/advice.json"), Path("data/splits.csv")) is None
    assert json.loads(Path("metrics/advice.json").read_text())["base"] == found.base


def test_without_masks_nothing_is_said_of_backgrounds(project, run, capsys, monkeypatch):
    monkeypatch.setattr(advise.Photos, "load", lambda _, path, *__: (project / "data/photos" / path).read_bytes())
    for path, old, new in (("data/masks.csv", ",True,", ",False,"), ("params.yaml", "remove", "keep")):
        Path(path).write_text(Path(path).read_text().replace(old, new))
    run(advise)
    found = advice_file.read(Path("metrics/advice.json"), Path("data/splits.csv"))
    assert found is not None and found.base == "keep 64x40"
    names = [row["input"] for row in found.rows]
    assert "full_image 64x40" in names and not [name for name in names if name.startswith(("remove", "blur"))]
    assert "advise: no mask is used, so 7 inputs that need masks are left out" in capsys.readouterr().err


def test_fewer_than_two_photos_are_refused(run, capsys):
    with pytest.raises(SystemExit):
        run(advise, photos=1)
    assert "--photos: expected 2 or more, found 1" in capsys.readouterr().err


def test_the_number_of_photos_can_be_limited(project, run, monkeypatch):
    monkeypatch.setattr(advise.Photos, "load", lambda _, path, *__: (project / "data/photos" / path).read_bytes())
    run(advise, photos=6)
    found = advice_file.read(Path("metrics/advice.json"), Path("data/splits.csv"))
    assert found is not None and found.n_photos == 6


def test_networks_are_pretrained_and_give_the_features_before_the_head(monkeypatch):
    if not (ROOT / "models/pretrained/efficientnet_lite0.npz").is_file():
        pytest.skip("needs models/pretrained/efficientnet_lite0.npz: run `dvc repro models/pretrained/dvc.yaml`")
    monkeypatch.chdir(ROOT)
    network = advise.load_networks(["efficientnet_lite0"], (64, 96), 3)["efficientnet_lite0"]
    photos = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3)).astype(np.uint8)
    features = np.asarray(network.predict_on_batch(photos))
    assert features.shape == (2, 1280) and features.std() > 0.1 and not np.allclose(features[0], features[1])
