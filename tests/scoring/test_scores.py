import math

import numpy as np
import pytest

from stages.scoring import scores

CLASSES = ["a", "b", "c"]
LABELS = np.array([0, 0, 1, 1])
# Right, wrong (as b), right, right.
ROWS = np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.0, 1.0, 0.0], [0.25, 0.5, 0.25]])


def test_wilson_against_published_values():
    # Newcombe 1998, table I, method 3: 81/263, 15/148, 0/20 and 1/29.
    for (right, n), expected in {
        (81, 263): (0.2553, 0.3662),
        (15, 148): (0.0624, 0.1605),
        (0, 20): (0.0, 0.1611),
        (1, 29): (0.0061, 0.1718),
    }.items():
        assert scores.wilson(right / n, n) == pytest.approx(expected, abs=5e-5)
    assert scores.wilson(1.0, 1)[1] == 1.0


def test_summary_by_hand():
    found = scores.summary(LABELS, ROWS, ["1", "2", "3", "4"])
    # a: precision 1, recall 1/2, f1 2/3; b: precision 2/3, recall 1, f1 4/5; c occurs nowhere.
    assert found["macro_f1"] == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert found["log_loss"] == pytest.approx(-(math.log(0.5) + math.log(0.25) + math.log(0.5)) / 4)
    assert (found["n"], found["accuracy"]) == (4, 0.75)
    assert (found["accuracy_low"], found["accuracy_high"]) == scores.wilson(0.75, 4)


def test_near_duplicates_count_as_one_trial():
    found = scores.summary(LABELS, ROWS, ["1", "1", "3", "3"])
    assert found["accuracy"] == 0.75
    assert (found["accuracy_low"], found["accuracy_high"]) == scores.wilson(0.75, 2)


def test_no_photos_no_figures():
    none, empty = np.zeros(0, dtype=np.int64), np.zeros((0, 3))
    assert scores.summary(none, empty, []) == {"n": 0}
    assert scores.confusion(none, empty, CLASSES).columns.tolist() == ["actual", "predicted"]
    assert scores.per_class(none, empty, CLASSES)["support"].tolist() == [0, 0, 0]


def test_confusion_has_a_row_per_photo():
    rows = scores.confusion(LABELS, ROWS, CLASSES).to_numpy().tolist()
    assert rows == [["a", "a"], ["a", "b"], ["b", "b"], ["b", "b"]]


def test_per_class_keeps_classes_without_photos():
    table = scores.per_class(LABELS, ROWS, CLASSES)
    assert table["label"].tolist() == CLASSES
    np.testing.assert_allclose(table["precision"], [1, 2 / 3, 0])
    np.testing.assert_allclose(table["recall"], [0.5, 1, 0])
    np.testing.assert_allclose(table["f1"], [2 / 3, 0.8, 0])
    assert table["support"].tolist() == [2, 2, 0]
