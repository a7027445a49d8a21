"""The probe stage with a backbone without weights, and the audit stage on its output."""

import json

import numpy as np
import pandas as pd
import pytest

from stages.audit import __main__ as audit_stage
from stages.classifiers import backbones
from stages.classifiers.engine import keras
from stages.core import atomic
from stages.core.errors import TableError
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
audit: {min_wrong: 0.5}
models:
  tiny: {backbone: one_pixel, weights: none, input: i}
"""


def colours(image):
    """Features are the mean colour."""
    return keras.layers.Rescaling(1 / 64, name="scale")(image)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Photos of one colour each; one of train has a wrong label, one of test is dark."""
    monkeypatch.setitem(backbones.BACKBONES, "one_pixel", backbones.Backbone(colours, lambda *_: None))
    monkeypatch.setattr(probe_stage.runtime, "configure", lambda *_: None)
    splits, rng, rows = ["train"] * 30 + ["val"] * 6 + ["test"] * 6, np.random.default_rng(0), []
    images = {}
    for number, split in enumerate(splits):
        colour = 200 * np.eye(3)[number % 3] + rng.integers(0, 40, 3)
        label = CLASSES[(number + (number == 7)) % 3]
        if number == 41:
            colour = np.array([60, 60, 0])
        rows.append(f"i{number:02d},p{number}.jpg,{label},,{split},ok,\n")
        images[f"i{number:02d}.png"] = np.tile(colour, (4, 4, 1)).astype(np.uint8)
    archives.put(tmp_path / "photos.zip", images)
    header = "image_id,path,label,group,split,status,reason\n"
    (tmp_path / "splits.csv").write_text(header + "".join(rows))
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    (tmp_path / "params.yaml").write_text(PARAMS)
    return tmp_path


def run_probe(folder, run):
    """Run the probe stage on the photos of `folder`."""
    names = {"params": "params.yaml", "splits": "splits.csv", "photos": "photos.zip", "classes": "classes.txt"}
    names |= {"pretrained": ".", "predictions": "probes/tiny.csv", "distances": "probes/tiny_distances.csv"}
    names |= {"map": "probes/tiny_map.csv"}
    run(
        probe_stage,
        model="tiny",
        details=folder / "probe.json",
        **{name: folder / path for name, path in names.items()},
    )


@pytest.fixture
def probed(folder, run):
    run_probe(folder, run)
    return folder


def test_every_split_is_scored_and_train_out_of_fold(probed):
    figures = json.loads((probed / "probe.json").read_text())
    assert figures["l2"] in (0.001, 0.01)
    assert [figures[split]["n"] for split in ("train", "val", "test")] == [30, 6, 6]
    assert figures["val"]["accuracy"] == 1.0 and figures["train"]["accuracy"] == pytest.approx(29 / 30)
    table = predictions.read(probed / "probes" / "tiny.csv", CLASSES)
    assert len(table.image_ids) == 42 and table.image_ids == sorted(table.image_ids)
    assert table.probabilities[7].argmax() == 1


def test_the_outlier_is_beyond_the_threshold(probed):
    distances = pd.read_csv(probed / "probes" / "tiny_distances.csv").set_index("image_id")
    is_outlier = distances["distance"] > distances["outlier_threshold"]
    assert distances["distance"].idxmax() == "i41" and is_outlier["i41"] and is_outlier.sum() == 1


def run_audit(folder, run, n_correct):
    """Run the audit stage on a model that is correct on the first `n_correct` of the 12 photos of val and test."""
    table = pd.read_csv(folder / "splits.csv")
    scored = table[table["split"] != "train"]
    labels = scored["label"].map(CLASSES.index).to_numpy(dtype=np.int64)
    predicted = np.where(np.arange(len(labels)) < n_correct, labels, (labels + 1) % 3)
    rows = np.full((len(predicted), 3), 0.02)
    rows[np.arange(len(predicted)), predicted] = 0.96
    for path in (folder / "predictions" / "tiny.csv", folder / "ensemble.csv"):
        predictions.write(path, Predictions(scored["image_id"].tolist(), rows, CLASSES))
    names = {
        "params": "params.yaml",
        "splits": "splits.csv",
        "classes": "classes.txt",
        "predictions": "predictions",
    }
    names |= {
        "ensemble-predictions": "ensemble.csv",
        "probes": "probes",
        "curves": "train",
        "issues": "issues.csv",
        "details": "audit.json",
    }
    run(audit_stage, **{name: folder / path for name, path in names.items()})
    return json.loads((folder / "audit.json").read_text()), issues.read(folder / "issues.csv")


def test_the_wrong_label_and_the_outlier_are_issues(probed, run, capsys):
    details, table = run_audit(probed, run, n_correct=12)
    assert (details["label_issue"], details["outlier"], details["photos"], details["flags"]) == (1, 1, 42, {})
    first, second = table.to_dict("records")
    assert (first["image_id"], first["split"], first["label"], first["suggested_label"]) == (
        "i07",
        "train",
        "blue",
        "green",
    )
    assert first["kind"] == "label_issue" and first["score"] > 0.5
    assert (second["image_id"], second["kind"], second["suggested_label"]) == ("i41", "outlier", "") and second[
        "score"
    ] > 1
    assert (
        "audit: 42 photos, 1 label issues, 1 outliers, 1.0 of the labels expected wrong, 0 flags"
        in capsys.readouterr().out
    )


def test_a_model_worse_than_its_probe_is_flagged(probed, run, capsys):
    details, _ = run_audit(probed, run, n_correct=2)
    assert set(details["flags"]["tiny"]) == {"not_above_probe", "near_chance"} and details["flagged_models"] == 1
    assert details["flags"]["tiny"]["not_above_probe"]["mean"] == pytest.approx(-4 / 6) and details["likely_causes"]
    assert "tiny is no better than a linear classifier" in capsys.readouterr().err


def test_a_training_without_gain_is_flagged_by_its_curve(probed, run, capsys):
    curve = probed / "train" / "tiny" / "plots" / "metrics" / "val" / "log_loss.tsv"
    atomic.write_text(curve, "step\tlog_loss\n0\t0.5\n1\t0.75\n2\t0.625\n")
    details, _ = run_audit(probed, run, n_correct=12)
    assert details["flags"] == {"tiny": {"no_gain_over_head": {"before": 0.5, "least": 0.625}}}
    assert "likely causes: classes in another order" in capsys.readouterr().err
    atomic.write_text(curve, "step\tlog_loss\n1\t0.75\n2\t0.875\n")  # epoch 0 is missing
    assert run_audit(probed, run, n_correct=12)[0]["flags"] == {}


def test_probes_and_curves_of_unknown_models_are_removed(probed, run, capsys):
    old = [f"probes/old{end}.csv" for end in ("", "_distances", "_map")]
    for path in (*old, "train/old/metrics.json", "train/tiny/metrics.json"):
        atomic.write_text(probed / path, "x")
    run_audit(probed, run, n_correct=12)
    kept = sorted(path.name for path in (probed / "probes").iterdir())
    assert kept == ["tiny.csv", "tiny_distances.csv", "tiny_map.csv"]
    assert [path.name for path in (probed / "train").iterdir()] == ["tiny"]
    line = f"audit: removed {', '.join(f'{probed}/{path}' for path in [*old, 'train/old'])}: params.yaml"
    assert line in capsys.readouterr().err


def test_photos_that_are_missing_from_the_predictions_are_named(probed, run):
    run_audit(probed, run, n_correct=12)
    kept = predictions.read(probed / "probes" / "tiny.csv", CLASSES)
    predictions.write(probed / "probes" / "tiny.csv", Predictions(kept.image_ids[1:], kept.probabilities[1:], CLASSES))
    with pytest.raises(TableError, match="expected the photo i00 among the predictions"):
        run_audit(probed, run, n_correct=12)


def test_without_val_and_test_photos(folder, run):
    text = (folder / "splits.csv").read_text().replace(",val,", ",train,").replace(",test,", ",train,")
    (folder / "splits.csv").write_text(text)
    run_probe(folder, run)
    assert json.loads((folder / "probe.json").read_text())["test"] == {"n": 0}
    details, table = run_audit(folder, run, n_correct=0)
    assert details["flags"] == {} and set(table["split"]) <= {"train"}


def test_no_training_photos_are_an_error(folder, run):
    text = (folder / "splits.csv").read_text().replace(",train,", ",val,")
    (folder / "splits.csv").write_text(text)
    with pytest.raises(TableError, match="expected photos with the split `train`, found none"):
        run_probe(folder, run)
