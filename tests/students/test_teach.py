"""The stage on predictions out of fold: no network is there to run."""

import json

import numpy as np
import pytest

from stages.core import atomic
from stages.core.errors import TableError, UserError
from stages.schemas import predictions
from stages.schemas.predictions import Predictions
from stages.students import teach

CLASSES = ["x", "y"]
SPLITS = {"t1": "train", "t2": "train", "v1": "val", "e1": "test"}
LABELS = {"t1": "x", "t2": "y", "v1": "x", "e1": "y"}
# What both models say of x. The copy of the test photo e1 is no photo to train on, sure as they are.
LABELLED = {"e1": (0.0, 0.0), "t1": (0.9, 0.7), "t2": (0.3, 0.1), "v1": (0.8, 0.8)}
UNLABELLED = {"e1": (0.0, 0.0), "u1": (0.95, 0.85), "u2": (1.0, 0.4), "u3": (0.55, 0.55)}


def write_tables(folder, name, shares):
    for number, model in enumerate("ab"):
        rows = np.array([[share[number], 1 - share[number]] for share in shares.values()])
        predictions.write(folder / name / f"{model}.csv", Predictions(list(shares), rows, CLASSES))


@pytest.fixture
def stage(tmp_path, run, capsys):
    """A function that runs the stage with settings of `teach`; returns the targets, the details and the last line."""
    rows = [f"{name},{name}.jpg,{LABELS[name]},,{split},ok,\n" for name, split in SPLITS.items()]
    rows += [f"{name},{name}.jpg,,,unlabelled,ok,\n" for name in ("u1", "u2", "u3")]
    (tmp_path / "splits.csv").write_text("image_id,path,label,group,split,status,reason\n" + "".join(rows))
    (tmp_path / "classes.txt").write_text("x\ny\n")
    write_tables(tmp_path, "predictions", LABELLED)
    write_tables(tmp_path, "unlabelled", UNLABELLED)
    atomic.write_json(tmp_path / "models" / "ensemble.json", {"weights": {"a": 0.5, "b": 0.5}, "temperature": 1.0})

    def start(settings):
        (tmp_path / "params.yaml").write_text(f"teach: {{{settings}}}\n")
        names = {"params": "params.yaml", "splits": "splits.csv", "classes": "classes.txt", "targets": "targets.csv"}
        names |= {name: name for name in ("models", "photos", "predictions", "unlabelled")} | {"details": "d.json"}
        run(teach, **{name: tmp_path / path for name, path in names.items()})
        details = json.loads((tmp_path / "d.json").read_text())
        return predictions.read(tmp_path / "targets.csv", CLASSES), details, capsys.readouterr().out

    return start


def test_targets_are_the_predictions_out_of_fold_and_those_of_sure_new_photos(stage):
    targets, details, line = stage("min_confidence: 0.6")
    assert targets.image_ids == ["t1", "t2", "u1"] and line == "teach: 2 train, 1 pseudo labels, 3 unlabelled\n"
    np.testing.assert_allclose(targets.probabilities[:, 0], [0.8, 0.2, 0.9])
    assert details["train"] == {"n": 2, "accuracy": 1.0, "confidence": pytest.approx(0.8)}
    assert details["unlabelled"] == {"n": 3, "used": 1, "share": pytest.approx(1 / 3), "by_class": {"x": 1, "y": 0}}
    # Out of fold, what stands for val is all photos outside test.
    measured = details["pseudo_labels"]
    assert [measured[name][key] for name in ("val", "test") for key in ("n", "accepted", "precision")] == [
        3, 3, 1.0, 1, 1, 1.0,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "used"),
    [
        ("min_confidence: 0.6, min_agreement: 0.5", ["u1", "u2"]),
        ("min_confidence: 0.0", ["u1", "u3"]),
        ("min_confidence: null, min_agreement: 0.0", []),
        ("", []),
    ],
)
def test_confidence_and_agreement_choose_the_photos_without_a_label(stage, settings, used):
    targets, details, _ = stage(settings)
    assert targets.image_ids == ["t1", "t2", *used] and details["unlabelled"]["used"] == len(used)


def test_no_photo_of_train_is_an_error(stage, tmp_path):
    table = tmp_path / "splits.csv"
    table.write_text(table.read_text().replace(",train,", ",test,"))
    with pytest.raises(TableError, match=r"splits\.csv: expected photos with the split `train`, found none"):
        stage("")


def test_photos_that_the_models_have_not_predicted_need_the_models(stage, tmp_path):
    write_tables(tmp_path, "predictions", {name: LABELLED[name] for name in ("e1", "v1")})
    settings = "}\nmodels: {a: {input: i}, b: {input: i}"
    with pytest.raises(UserError, match=r"a/model\.onnx: expected a trained model, found none; run `dvc repro train`"):
        stage(settings)
