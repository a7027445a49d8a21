import numpy as np
import pytest

from stages.classifiers.settings import TeachSettings
from stages.core.errors import TableError
from stages.schemas.split_data import SplitData
from stages.students import teaching
from stages.students.teaching import TeacherPredictions

# Three models and three photos of two classes: all agree; one of three does not, though it is sure; all agree, unsure.
BY_MODEL = np.array(
    [
        [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]],
        [[1.0, 0.0], [0.4, 0.6], [0.7, 0.3]],
        [[0.8, 0.2], [0.9, 0.1], [0.6, 0.4]],
    ]
)
PREDICTED = TeacherPredictions(["a", "b", "c"], BY_MODEL, np.array([[0.95, 0.05], [0.1, 0.9], [0.6, 0.4]]))
PHOTOS = SplitData(["a", "b", "c"], ["a.jpg", "b.jpg", "c.jpg"], np.array([0, 0, 1]), ["g", "h", "h"])


@pytest.mark.parametrize(
    ("min_confidence", "min_agreement", "expected"),
    [
        (None, 0.0, [False, False, False]),
        (0.9, 1.0, [True, False, False]),
        (0.9, 2 / 3, [True, True, False]),
        (0.95, 0.0, [True, False, False]),
        (0.0, 1.0, [True, False, True]),
        (0.0, 0.0, [True, True, True]),
        (1.0, 0.0, [False, False, False]),
    ],
)
def test_photos_are_accepted_by_confidence_and_agreement(min_confidence, min_agreement, expected):
    teach = TeachSettings(min_confidence=min_confidence, min_agreement=min_agreement)
    assert teaching.accepted(PREDICTED, teach).tolist() == expected


def test_the_precision_is_that_of_the_accepted_photos():
    figures = teaching.precision(PHOTOS, PREDICTED, TeachSettings(min_confidence=0.9, min_agreement=0.5))
    # Photo a is right and b, of class 0, is not.
    assert (figures["n"], figures["accepted"]) == (3, 2)
    assert figures["share"] == pytest.approx(2 / 3) and figures["precision"] == 0.5
    # Wilson's interval of one success in two trials: (0.5 + z^2/4 -+ z sqrt(1/8 + z^2/16)) / (1 + z^2/2).
    assert figures["precision_low"] == pytest.approx(0.0945, abs=1e-4)
    assert figures["precision_high"] == pytest.approx(0.9055, abs=1e-4)


def test_without_an_accepted_photo_there_is_no_precision():
    assert teaching.precision(PHOTOS, PREDICTED, TeachSettings()) == {"n": 3, "accepted": 0}
    empty, nothing = PREDICTED.select([]), PHOTOS.select(np.array([], dtype=int))
    assert teaching.precision(nothing, empty, TeachSettings(min_confidence=0.5)) == {"n": 0, "accepted": 0}


def test_copies_of_photos_of_any_split_are_left_out():
    splits = {"train": PHOTOS.select(np.array([0])), "test": PHOTOS.select(np.array([2]))}
    assert teaching.without_copies(PREDICTED, splits).image_ids == ["b"]
    assert teaching.without_copies(PREDICTED, {}).image_ids == ["a", "b", "c"]


def test_a_photo_that_was_not_predicted_is_named():
    with pytest.raises(TableError, match="expected predictions of z, found none; run `dvc repro evaluate`"):
        PREDICTED.select(["a", "z"])


def test_targets_are_sorted_by_id_and_the_same_probabilities():
    train, used = PREDICTED.select(["c", "a"]), PREDICTED.select(["b"])
    table = teaching.targets(train, used, ["x", "y"])
    assert table.image_ids == ["a", "b", "c"] and table.classes == ["x", "y"]
    np.testing.assert_array_equal(table.probabilities, PREDICTED.ensemble)
    alone = teaching.targets(train, PREDICTED.select([]), ["x", "y"])
    assert alone.image_ids == ["a", "c"]


def test_photos_are_counted():
    assert teaching.describe_train(PHOTOS, PREDICTED) == {
        "n": 3, "accuracy": pytest.approx(1 / 3), "confidence": pytest.approx((0.95 + 0.9 + 0.6) / 3),
    }  # fmt: skip
    used = PREDICTED.select(["a", "b"])
    assert teaching.describe_unlabelled(8, used, ["x", "y"]) == {
        "n": 8, "used": 2, "share": 0.25, "by_class": {"x": 1, "y": 1},
    }  # fmt: skip
    nothing = teaching.describe_unlabelled(0, PREDICTED.select([]), ["x", "y"])
    assert nothing == {"n": 0, "used": 0, "by_class": {"x": 0, "y": 0}}
