"""The whole stage with a backbone of one convolution, and the audit that rests on it."""

import json

import numpy as np
import pandas as pd
import pytest

from stages.audit import __main__ as audit_stage
from stages.classifiers import backbones
from stages.classifiers.engine import keras
from stages.core import atomic, tables
from stages.probe import __main__ as probe_stage
from stages.schemas import issues, predictions
from stages.schemas.predictions import Predictions
from tests import archives

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CLASSES = ["red", "green", "blue"]
PARAMS = """
runtime: {threads: 2}
train: {batch_size: 4}
probe: {l2: [0.001, 0.01], folds: 3, neighbours: 2}
audit: {max_probability: 0.5}
models:
  tiny: {backbone: one_pixel, weights: none}
"""


def colours(image):
    """Features are the mean colour."""
    return keras.layers.Rescaling(1 / 64, name="scale")(image)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Photos of one colour each, one of train labelled wrongly, one of test that is black."""
    monkeypatch.setitem(backbones.BACKBONES, "one_pixel", backbones.Backbone(colours, lambda *_: None))
    monkeypatch.setattr(probe_stage.runtime, "configure", lambda *_: None)
    splits, rng, rows = ["train"] * 30 + ["val"] * 6 + ["test"] * 6, np.random.default_rng(0), []
    pictures = {}
    for number, split in enumerate(splits):
        colour = 200 * np.eye(3)[number % 3] + rng.integers(0, 40, 3)
        label = CLASSES[(number + (number == 7)) % 3]
        if number == 41:
            colour = np.array([60, 60, 0])
        rows.append(f"i{number:02d},p{number}.jpg,{label},,{split},ok,,keep,i{number:02d}.png,1,0,0\n")
        pictures[f"i{number:02d}.png"] = np.tile(colour, (4, 4, 1)).astype(np.uint8)
    archives.put(tmp_path / "photos.zip", pictures)
    header = "image_id,path,label,group,split,status,reason,background,file,scale,pad_left,pad_top\n"
    (tmp_path / "letterbox.csv").write_text(header + "".join(rows))
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    (tmp_path / "params.yaml").write_text(PARAMS)
    return tmp_path


def look(folder, run):
    """Run the probe on the photos of `folder`."""
    names = {"params": "params.yaml", "table": "letterbox.csv", "photos": "photos.zip", "classes": "classes.txt"}
    names |= {"pretrained": ".", "predictions": "probes/tiny.csv", "distances": "probes/tiny_distances.csv"}
    run(
        probe_stage,
        model="tiny",
        metrics=folder / "probe.json",
        **{name: folder / path for name, path in names.items()},
    )


@pytest.fixture
def probed(folder, run):
    look(folder, run)
    return folder


def test_every_split_is_judged_and_train_out_of_fold(probed):
    figures = json.loads((probed / "probe.json").read_text())
    assert figures["l2"] in (0.001, 0.01)
    assert [figures[split]["n"] for split in ("train", "val", "test")] == [30, 6, 6]
    assert figures["val"]["accuracy"] == 1.0 and figures["train"]["accuracy"] == pytest.approx(29 / 30)
    found = predictions.read(probed / "probes" / "tiny.csv", CLASSES)
    assert len(found.image_ids) == 42 and found.image_ids == sorted(found.image_ids)
    assert found.probabilities[7].argmax() == 1


def test_the_strange_photo_is_far_away(probed):
    far = pd.read_csv(probed / "probes" / "tiny_distances.csv").set_index("image_id")
    assert far["distance"].idxmax() == "i41" and far.loc["i41", "distance"] > far.loc["i41", "fence"]
    assert (far["distance"] > far["fence"]).sum() == 1


def answer(folder, run, right):
    """Run the audit on a model that is right on so many of the 12 photos of val and test, the first ones."""
    table = pd.read_csv(folder / "letterbox.csv")
    judged = table[table["split"] != "train"]
    labels = judged["label"].map(CLASSES.index).to_numpy(dtype=np.int64)
    said = np.where(np.arange(len(labels)) < right, labels, (labels + 1) % 3)
    rows = np.full((len(said), 3), 0.02)
    rows[np.arange(len(said)), said] = 0.96
    for path in (folder / "predictions" / "tiny.csv", folder / "blended.csv"):
        predictions.write(path, Predictions(judged["image_id"].tolist(), rows, CLASSES))
    names = {"params": "params.yaml", "table": "letterbox.csv", "classes": "classes.txt", "predictions": "predictions"}
    names |= {
        "blended": "blended.csv",
        "probes": "probes",
        "curves": "train",
        "suspects": "suspects.csv",
        "metrics": "audit.json",
    }
    run(audit_stage, **{name: folder / path for name, path in names.items()})
    return json.loads((folder / "audit.json").read_text()), issues.read(folder / "suspects.csv")


def test_the_wrong_label_and_the_strange_photo_are_suspects(probed, run, capsys):
    found, doubtful = answer(probed, run, right=12)
    assert (found["label_error"], found["outlier"], found["photos"], found["flags"]) == (1, 1, 42, {})
    first, second = doubtful.to_dict("records")
    assert (first["image_id"], first["split"], first["label"], first["suggested"]) == ("i07", "train", "blue", "green")
    assert first["kind"] == "label_error" and first["score"] < 0.5
    assert (second["image_id"], second["kind"], second["suggested"]) == ("i41", "outlier", "") and second["score"] > 1
    assert "audit: 42 photos, 1 label error, 1 outlier, 0 flags" in capsys.readouterr().out


def test_a_model_worse_than_its_probe_is_flagged(probed, run, capsys):
    found, _ = answer(probed, run, right=2)
    assert set(found["flags"]["tiny"]) == {"not_above_probe", "near_chance"} and found["flagged_models"] == 1
    assert found["flags"]["tiny"]["not_above_probe"]["mean"] == pytest.approx(-4 / 6) and found["usual_suspects"]
    assert "tiny is no better than a linear classifier" in capsys.readouterr().err


def test_a_training_that_gained_nothing_is_flagged_by_its_curve(probed, run, capsys):
    curve = probed / "train" / "tiny" / "plots" / "metrics" / "val" / "log_loss.tsv"
    atomic.write_text(curve, "step\tlog_loss\n0\t0.5\n1\t0.75\n2\t0.625\n")
    found, _ = answer(probed, run, right=12)
    assert found["flags"] == {"tiny": {"head_kept": {"before": 0.5, "least": 0.625}}}
    assert "look for classes in another order" in capsys.readouterr().err
    atomic.write_text(curve, "step\tlog_loss\n1\t0.75\n2\t0.875\n")  # how it began is not known
    assert answer(probed, run, right=12)[0]["flags"] == {}


def test_photos_that_are_missing_from_the_predictions_are_named(probed, run):
    answer(probed, run, right=12)
    kept = predictions.read(probed / "probes" / "tiny.csv", CLASSES)
    predictions.write(probed / "probes" / "tiny.csv", Predictions(kept.image_ids[1:], kept.probabilities[1:], CLASSES))
    with pytest.raises(tables.TableError, match="expected the photo i00 among the predictions"):
        answer(probed, run, right=12)


def test_without_val_and_test_photos(folder, run):
    text = (folder / "letterbox.csv").read_text().replace(",val,", ",train,").replace(",test,", ",train,")
    (folder / "letterbox.csv").write_text(text)
    look(folder, run)
    assert json.loads((folder / "probe.json").read_text())["test"] == {"n": 0}
    found, doubtful = answer(folder, run, right=0)
    assert found["flags"] == {} and set(doubtful["split"]) <= {"train"}


def test_no_training_photos_are_refused(folder, run):
    text = (folder / "letterbox.csv").read_text().replace(",train,", ",val,")
    (folder / "letterbox.csv").write_text(text)
    with pytest.raises(tables.TableError, match="expected photos with the split `train`, found none"):
        look(folder, run)
