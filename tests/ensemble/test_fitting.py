import json
import sys

import numpy as np
import pandas as pd
import pytest

from stages.core.errors import TableError, UserError
from stages.ensemble import __main__ as ensemble_stage
from stages.ensemble import fitting, weighting
from stages.schemas import predictions
from stages.schemas.predictions import Predictions

CLASSES = ["sedan", "pickup"]
PARAMS = "models: {b: {backbone: x}, a: {backbone: x}}\nensemble: {min_val: 2, shrinkage: 0.0, calibrate: false}\n"
COMPARED = ("metrics", "best-single", "gain", "weights")
OUTPUTS = (
    "models/ensemble",
    "details",
    "ensemble-predictions",
    "test-predictions",
    "unlabelled-probabilities",
    "risk-coverage",
    *COMPARED,
)
# Model a is confident and correct on val, b gives both classes 0.5; on test they differ on photo t2.
ROWS_A = {"v1": 0.9, "v2": 0.1, "t1": 0.8, "t2": 0.4}
ROWS_B = {"v1": 0.5, "v2": 0.5, "t1": 0.6, "t2": 0.9}


def table(rows, classes=CLASSES):
    ids = sorted(rows)
    first = np.array([rows[image_id] for image_id in ids], dtype=float).reshape(-1, 1)
    return Predictions(ids, np.hstack([first, 1 - first]), classes)


@pytest.fixture
def folder(tmp_path):
    """Two photos each of val and test; v1, t1, t2 are sedans."""
    (tmp_path / "params.yaml").write_text(PARAMS)
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    (tmp_path / "splits.csv").write_text(
        "image_id,path,label,group,split,status,reason\n"
        "t1,s/1.jpg,sedan,t1,test,ok,\nt2,s/2.jpg,sedan,t2,test,ok,\n"
        "n1,s/3.jpg,sedan,n1,train,ok,\nv1,s/4.jpg,sedan,v1,val,ok,\n"
        "v2,p/5.jpg,pickup,v2,val,ok,\n"
    )
    predictions.write(tmp_path / "rows" / "a.csv", table(ROWS_A))
    predictions.write(tmp_path / "rows" / "b.csv", table(ROWS_B))
    for name in "ab":
        predictions.write(tmp_path / "others" / f"{name}.csv", table({}))
    return tmp_path


def run(folder, monkeypatch):
    given = {"params": "params.yaml", "splits": "splits.csv", "classes": "classes.txt", "predictions": "rows"}
    given["unlabelled"] = "others"
    given |= {path.split("/")[-1]: f"out/{path}" for path in OUTPUTS}
    arguments = [part for name, path in given.items() for part in (f"--{name}", str(folder / path))]
    monkeypatch.setattr(sys, "argv", ["ensemble", *arguments])
    ensemble_stage.main()
    return read(folder, "details"), read(folder, "models/ensemble")


def read(folder, name):
    return json.loads((folder / "out" / name).read_text())


def test_weights_are_fitted_on_val_and_reported_on_test(folder, monkeypatch, capsys):
    metrics, record = run(folder, monkeypatch)
    # On val more weight on a is always better, so all of it goes there.
    assert record["weights"] == pytest.approx({"a": 1.0, "b": 0.0}, abs=1e-6)
    assert metrics["weights"] == record["weights"] and metrics["fitted_on"] == "val"
    assert record["classes"] == CLASSES and record["reason"] == ""
    assert record["files"] == {"a": "a/model.onnx", "b": "b/model.onnx"}
    assert (metrics["test"]["n"], metrics["test"]["accuracy"]) == (2, 0.5)
    assert metrics["test"]["log_loss"] == pytest.approx(-(np.log(0.8) + np.log(0.4)) / 2, abs=1e-5)
    # Equal weights give t2 0.65 for the sedan, which is correct; a alone is wrong.
    assert metrics["equal_weights"]["accuracy"] == 1.0
    # b is correct on all of test, but a is better on val, which chooses.
    assert (metrics["best_single"]["name"], metrics["best_single"]["accuracy"]) == ("a", 0.5)
    assert capsys.readouterr().out == "ensemble: 2 models, 2 val, 2 test\n"


def test_the_compared_figures_are_those_of_the_details(folder, monkeypatch):
    details, _ = run(folder, monkeypatch)
    test, best, gain, weights = (read(folder, name) for name in COMPARED)
    assert {name: test[name] for name in ("n", "accuracy", "log_loss", "ece", "macro_f1")} == {
        name: details["test"][name] for name in ("n", "accuracy", "log_loss", "ece", "macro_f1")
    }
    assert (test["low"], test["high"]) == (details["test"]["accuracy_low"], details["test"]["accuracy_high"])
    assert best == {name: details["best_single"][name] for name in ("accuracy", "log_loss")}
    assert gain == {"accuracy": 0.0, "low": 0.0, "high": 0.0, "log_loss": 0.0} and weights == details["weights"]
    assert len(test) + len(best) + len(gain) == 13


def test_predictions_and_models_of_unknown_names_are_removed(folder, monkeypatch, capsys):
    for name in ("rows", "others"):
        predictions.write(folder / name / "old.csv", table(ROWS_A))
    for path in ("old/model.json", "a/model.json", "pretrained/sources.yaml"):
        (folder / "out/models" / path).parent.mkdir(parents=True)
        (folder / "out/models" / path).write_text("{}")
    run(folder, monkeypatch)
    for name in ("rows", "others"):
        assert sorted(path.name for path in (folder / name).iterdir()) == ["a.csv", "b.csv"]
    assert sorted(path.name for path in (folder / "out/models").iterdir()) == ["a", "ensemble", "pretrained"]
    assert (
        f"ensemble: removed {folder}/rows/old.csv, {folder}/others/old.csv, {folder}/out/models/old: params"
        in capsys.readouterr().err
    )


def test_the_tables_written(folder, monkeypatch):
    run(folder, monkeypatch)
    predicted = predictions.read(folder / "out/ensemble-predictions", CLASSES)
    assert predicted.image_ids == ["t1", "t2", "v1", "v2"]
    np.testing.assert_allclose(predicted.probabilities[:, 0], [0.8, 0.4, 0.9, 0.1], atol=1e-5)
    rows = pd.read_csv(folder / "out/test-predictions")
    assert rows["image_id"].tolist() == ["t1", "t2"] and rows["path"].tolist() == ["s/1.jpg", "s/2.jpg"]
    assert rows["label"].tolist() == ["sedan", "pickup"]
    assert rows["second_label"].tolist() == ["pickup", "sedan"]
    np.testing.assert_allclose(rows["probability"], [0.8, 0.6], atol=1e-5)


def test_photos_without_labels_are_predicted_with_the_fitted_weights(folder, monkeypatch):
    run(folder, monkeypatch)
    assert predictions.read(folder / "out/unlabelled-probabilities", CLASSES).image_ids == []
    predictions.write(folder / "others" / "a.csv", table({"u1": 0.75, "n1": 0.25}))
    predictions.write(folder / "others" / "b.csv", table({"u1": 0.5, "n1": 1.0}))
    (folder / "params.yaml").write_text(PARAMS.replace("min_val: 2", "min_val: 3"))  # equal weights
    _, record = run(folder, monkeypatch)
    predicted = predictions.read(folder / "out/unlabelled-probabilities", CLASSES)
    assert predicted.image_ids == ["n1", "u1"]
    np.testing.assert_allclose(predicted.probabilities, [[0.625, 0.375], [0.625, 0.375]])
    # The one train photo is a sedan.
    assert record["prior"] == {"sedan": 1.0, "pickup": 0.0}


def test_models_that_predicted_other_photos_without_labels_are_an_error(folder, monkeypatch):
    predictions.write(folder / "others" / "a.csv", table({"u1": 0.75}))
    with pytest.raises(TableError, match=r"b: expected the 1 photos of ingest\.unlabelled, found 0, and u1"):
        run(folder, monkeypatch)


def test_the_gain_of_fitting_is_measured_out_of_sample_and_paired(folder, monkeypatch):
    metrics, record = run(folder, monkeypatch)
    # The best single model is a, which has all the weight: the gain is exactly zero.
    assert set(metrics["gain"].values()) == {0.0} and metrics["optimality_gap"] < 1e-6
    assert record["temperature"] == metrics["temperature"] == 1.0 and metrics["shrinkage"] == 0.0
    # Each val photo is predicted with weights fitted on the other one; both give all weight to a.
    assert metrics["val"]["fitted"]["log_loss"] == pytest.approx(-np.log(0.9), abs=1e-5)
    assert metrics["val"]["equal"]["log_loss"] == pytest.approx(-np.log(0.7), abs=1e-5)
    assert metrics["val"]["n"] == 2 and metrics["val"]["shrinkage"] == metrics["val"]["fitted"]


def test_a_temperature_is_kept_with_the_weights_and_applied(folder, monkeypatch):
    (folder / "params.yaml").write_text(PARAMS.replace("calibrate: false", "calibrate: true"))
    metrics, record = run(folder, monkeypatch)
    # Both val photos are correct with 0.9. The smoothed target for two photos is 3/4, and 9 is the square of 3.
    assert record["temperature"] == pytest.approx(2, abs=1e-3)
    predicted = predictions.read(folder / "out/ensemble-predictions", CLASSES)
    assert predicted.probabilities[0, 0] == pytest.approx(0.8**0.5 / (0.8**0.5 + 0.2**0.5), abs=1e-4)
    # 0.8 and 0.4 on test become 2/3 and 1 / (1 + root of 0.6 / 0.4).
    after = -(np.log(2 / 3) - np.log(1 + 1.5**0.5)) / 2
    assert metrics["uncalibrated"]["log_loss"] < metrics["test"]["log_loss"] == pytest.approx(after, abs=1e-4)


def test_manual_weights_are_scaled_and_reported_and_never_used(folder, monkeypatch, capsys):
    (folder / "params.yaml").write_text(PARAMS.replace("min_val: 2", "min_val: 2, manual_weights: {a: 0.2, b: 1.1}"))
    metrics, record = run(folder, monkeypatch)
    averaged = (0.2 * np.array([0.8, 0.4]) + 1.1 * np.array([0.6, 0.9])) / 1.3
    assert metrics["manual_weights"]["log_loss"] == pytest.approx(-np.log(averaged).mean())
    assert record["weights"]["a"] == pytest.approx(1)
    assert "expected weights that sum to one, found 1.3" in capsys.readouterr().err
    (folder / "params.yaml").write_text(PARAMS.replace("min_val: 2", "min_val: 2, manual_weights: {a: 1.0}"))
    with pytest.raises(UserError, match=r"ensemble\.manual_weights: expected a weight for each of a, b"):
        run(folder, monkeypatch)


def test_equal_bytes_every_time(folder, monkeypatch):
    run(folder, monkeypatch)
    first = [(folder / "out" / name).read_bytes() for name in OUTPUTS]
    run(folder, monkeypatch)
    assert [(folder / "out" / name).read_bytes() for name in OUTPUTS] == first


def test_a_small_val_split_gives_equal_weights_and_the_reason(folder, monkeypatch):
    (folder / "params.yaml").write_text(PARAMS.replace("min_val: 2", "min_val: 3"))
    metrics, record = run(folder, monkeypatch)
    assert record["weights"] == {"a": 0.5, "b": 0.5}
    assert record["reason"] == "equal weights: 2 val photos, 3 needed to fit any"
    assert metrics["test"] == metrics["equal_weights"]


@pytest.mark.parametrize("kept", [["v1", "v2"], ["t1", "t2"], []])
def test_empty_splits_have_no_figures(folder, monkeypatch, kept):
    lines = (folder / "splits.csv").read_text().splitlines()
    kept_lines = [line for line in lines if line[:2] in ("im", "n1", *kept)]
    (folder / "splits.csv").write_text("\n".join(kept_lines) + "\n")
    for name, rows in (("a", ROWS_A), ("b", ROWS_B)):
        predictions.write(folder / "rows" / f"{name}.csv", table({key: rows[key] for key in kept}))
    metrics, record = run(folder, monkeypatch)
    assert ("best_single" in metrics) == ("v1" in kept)
    assert metrics["test"]["n"] == (2 if "t1" in kept else 0)
    assert ("accuracy" in metrics["test"]) == ("t1" in kept)
    assert sum(record["weights"].values()) == pytest.approx(1)
    assert (read(folder, "gain") != {}) == (len(kept) == 4) and ("accuracy" in read(folder, "metrics")) == (
        "t1" in kept
    )


def test_photos_of_train_that_models_answered_out_of_fold_are_fitted_on_too(folder, monkeypatch, capsys):
    # On val a is better; with n1, where it is sure of the wrong class, b is.
    predictions.write(folder / "rows" / "a.csv", table(ROWS_A | {"n1": 0.001}))
    predictions.write(folder / "rows" / "b.csv", table(ROWS_B | {"n1": 0.9}))
    metrics, record = run(folder, monkeypatch)
    assert metrics["val"]["n"] == 3 and metrics["test"]["n"] == 2
    assert metrics["fitted_on"] == "train and val, out of fold"
    assert record["weights"]["b"] > 0.3 and metrics["best_single"]["name"] == "b"
    assert capsys.readouterr().out == "ensemble: 2 models, 3 val, 2 test\n"
    assert predictions.read(folder / "out" / "ensemble-predictions").image_ids == ["n1", "t1", "t2", "v1", "v2"]


def test_one_model_that_answered_out_of_fold_beside_one_that_did_not_is_an_error(folder, monkeypatch):
    predictions.write(folder / "rows" / "a.csv", table(ROWS_A | {"n1": 0.5}))
    with pytest.raises(TableError, match=r"b: expected the 5 photos of val and test, found 4, and n1"):
        run(folder, monkeypatch)


def test_unsure_answers_have_a_threshold_only_where_it_is_asked_for(folder, monkeypatch):
    metrics, record = run(folder, monkeypatch)
    assert set(metrics["selective"]) == {"area"} and record["abstain"] is None
    curve = pd.read_csv(folder / "out" / "risk-coverage")
    assert set(curve["split"]) == {"val", "test"} and curve["coverage"].max() == 1
    text = PARAMS.replace("min_val: 2", "min_val: 2, abstain: {max_risk: 0.5, confidence: 0.6}")
    (folder / "params.yaml").write_text(text)
    metrics, record = run(folder, monkeypatch)
    # Cross-fitted, val is predicted by one photo each: both are right with 0.9, and two right ones bound 0.37.
    assert record["abstain"]["threshold"] == metrics["selective"]["threshold"] == pytest.approx(0.9, abs=1e-6)
    assert metrics["selective"]["bound"] == pytest.approx(1 - 0.4 ** (1 / 2))
    assert weighting.read(folder / "out" / "models/ensemble", CLASSES).threshold == pytest.approx(0.9, abs=1e-6)


def test_predictions_of_other_photos_are_rejected(folder, monkeypatch):
    predictions.write(folder / "rows" / "b.csv", table(ROWS_B | {"x9": 0.5}))
    with pytest.raises(TableError, match=r"b: expected the 4 photos of val and test, found 5, and x9"):
        run(folder, monkeypatch)
    predictions.write(folder / "rows" / "b.csv", table({"v1": 0.5, "v2": 0.5, "t1": 0.5}))
    with pytest.raises(TableError, match=r"found 3, and t2"):
        run(folder, monkeypatch)


def test_predictions_of_other_classes_are_rejected(folder, monkeypatch):
    predictions.write(folder / "rows" / "b.csv", table(ROWS_B, CLASSES[::-1]))
    with pytest.raises(TableError, match=r"b\.csv: expected columns image_id, sedan, pickup"):
        run(folder, monkeypatch)
    with pytest.raises(TableError, match="b: expected the classes"):
        fitting.stack({"a": table(ROWS_A), "b": table(ROWS_B, CLASSES[::-1])}, list(ROWS_A))


def test_tables_are_aligned_by_id():
    reversed_ids = Predictions(["y", "x"], np.array([[0.25, 0.75], [0.5, 0.5]]), CLASSES)
    stacked = fitting.stack({"a": reversed_ids}, ["x", "y"])
    np.testing.assert_array_equal(stacked.probabilities, [[[0.5, 0.5], [0.25, 0.75]]])
