import json
import sys

import numpy as np
import pytest

from stages.schemas import predictions
from stages.schemas.predictions import Predictions
from stages.schemas.split_data import SplitData
from stages.students import compare

CLASSES = ["x", "y"]
IDS = ["t1", "t2", "v1", "v2"]
STUDENT = np.array([[0.8, 0.2], [0.8, 0.2], [0.9, 0.1], [0.1, 0.9]])
ENSEMBLE = np.array([[0.9, 0.1], [0.4, 0.6], [0.7, 0.3], [0.3, 0.7]])


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """A function that runs the stage on photos of these splits and returns the figures and the student alone."""

    def run(splits):
        labels = {"t1": "x", "t2": "y", "v1": "x", "v2": "y", "n1": "x", "n2": "x", "n3": "y"}
        rows = [f"{name},{name}.jpg,{labels[name]},,{split},ok,\n" for name, split in splits.items()]
        (tmp_path / "splits.csv").write_text("image_id,path,label,group,split,status,reason\n" + "".join(rows))
        (tmp_path / "classes.txt").write_text("x\ny\n")
        for name, table in (("student", STUDENT), ("ensemble", ENSEMBLE)):
            predictions.write(tmp_path / f"{name}.csv", Predictions(IDS, table, CLASSES))
        given = {"splits": "splits.csv", "classes": "classes.txt", "predictions": "student.csv"}
        given |= {"ensemble-predictions": "ensemble.csv", "out": "pupil.json", "metrics": "m.json"}
        words = [word for name, path in given.items() for word in (f"--{name}", str(tmp_path / path))]
        monkeypatch.setattr(sys, "argv", ["compare", "--student", "pupil", *words])
        compare.main()
        return [json.loads((tmp_path / name).read_text()) for name in ("m.json", "pupil.json")]

    return run


def test_the_student_is_calibrated_on_val_and_compared_on_test(stage, capsys):
    splits = {"t1": "test", "t2": "test", "v1": "val", "v2": "val", "n1": "train", "n2": "train", "n3": "train"}
    figures, alone = stage(splits)
    # Both val photos are right; Platt's target of 3/4 for two photos is reached where 9^(1/T) = 3.
    assert alone["temperature"] == pytest.approx(2, rel=1e-4)
    assert alone["weights"] == {"pupil": 1.0} and alone["classes"] == CLASSES and alone["abstain"] is None
    assert alone["prior"] == {"x": pytest.approx(2 / 3), "y": pytest.approx(1 / 3)}
    test = figures["test"]
    # The square root of 4 to 1 is 2 to 1.
    losses = -np.log([[2 / 3, 1 / 3], [0.9, 0.6]]).mean(axis=1)
    assert (test["student"]["accuracy"], test["ensemble"]["accuracy"], test["agreement"]) == (0.5, 1.0, 0.5)
    assert test["student"]["log_loss"] == pytest.approx(losses[0], rel=1e-4)
    assert test["difference"]["accuracy"] == -0.5 and test["difference"]["accuracy_high"] == 0.0
    assert test["difference"]["log_loss"] == pytest.approx(losses[0] - losses[1], rel=1e-4)
    assert capsys.readouterr().out == "compare pupil: 2 val, 2 test\n"


def test_without_val_nothing_is_fitted_and_without_test_nothing_is_scored(stage):
    figures, alone = stage(dict.fromkeys(IDS, "train"))
    assert figures == {"val": {"n": 0}, "test": {"n": 0}} and alone["temperature"] == 1.0


def test_the_arrays_stay_as_they_are():
    photos = SplitData(IDS[:2], IDS[:2], np.array([0, 1]), IDS[:2])
    student, ensemble = STUDENT[:2].copy(), ENSEMBLE[:2].copy()
    compare.compare(student, ensemble, photos)
    np.testing.assert_array_equal(student, STUDENT[:2])
    np.testing.assert_array_equal(ensemble, ENSEMBLE[:2])
