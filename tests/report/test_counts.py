import numpy as np
import pandas as pd
import pytest

from stages.report import counts
from stages.schemas.predictions import Predictions


@pytest.fixture
def rows():
    return pd.DataFrame(
        [
            ("1", "a", "train", True, True, True, "ok"),
            ("2", "b", "test", True, True, False, "ok"),
            ("3", "b", "test", True, False, False, "ok"),
            ("4", "a", "val", True, False, False, "dropped"),
            ("4", "a", "", False, False, False, "rejected"),
        ],
        columns=["image_id", "label", "split", "is_usable", "is_cropped", "is_masked", "status"],
    )


def test_funnel_counts_files_and_copies_once(rows):
    stages = counts.funnel(rows, pd.DataFrame({"image_id": ["1", "1", "2", "4"]}))
    counted = {stage.name: stage.files for stage in stages}
    assert counted == {"files": 5, "usable": 4, "with boxes": 3, "cropped": 2, "masked": 1, "model inputs": 3}


def test_funnel_of_nothing(rows):
    assert [stage.files for stage in counts.funnel(rows[:0], pd.DataFrame({"image_id": []}))] == [0] * 6


def test_per_class_keeps_order_and_empty_classes(rows):
    counted = counts.per_class(rows, ["c", "b", "a"])
    assert counted.index.tolist() == ["c", "b", "a"]
    assert counted.columns.tolist() == ["train", "val", "test"]
    assert counted.to_numpy().tolist() == [[0, 0, 0], [0, 0, 2], [1, 0, 0]]


def test_predictions_are_matched_by_id(rows):
    predicted = Predictions(["3", "2"], np.array([[0.75, 0.25], [0.5, 0.5]]), ["a", "b"])
    counted = counts.predicted_test_rows(rows, predicted)
    assert counted["image_id"].tolist() == ["2", "3"]
    assert counted["predicted"].tolist() == ["a", "a"]  # the first class where both are as likely
    assert counted["probability"].tolist() == [0.5, 0.75]
    assert counted["true_probability"].tolist() == [0.5, 0.25]


def test_predictions_without_test_photos(rows):
    counted = counts.predicted_test_rows(rows[:1], Predictions([], np.empty((0, 2)), ["a", "b"]))
    assert len(counted) == 0
    assert counts.confusion(counted, ["a", "b"]).tolist() == [[0, 0], [0, 0]]


def test_confusion_and_recall():
    predicted = pd.DataFrame({"label": ["a", "b", "b", "b", "b"], "predicted": ["a", "b", "c", "c", "a"]})
    classes = ["a", "b", "c"]
    matrix = counts.confusion(predicted, classes)
    assert matrix.tolist() == [[1, 0, 0], [1, 1, 2], [0, 0, 0]]
    a, b, c = counts.recalls(matrix, classes)
    assert (a.share, a.mistaken_for, a.times) == (1.0, "", 0)
    assert (b.share, b.mistaken_for, b.times) == (0.25, "c", 2)
    assert c.share is None
