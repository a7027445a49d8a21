import numpy as np
import pandas as pd
import pytest

from stages.audit import auditing
from stages.audit.auditing import OutOfSample, PredictionSet
from stages.schemas.predictions import Predictions
from stages.schemas.split_data import SplitData

CLASSES = ["a", "b"]


def split(*ids):
    return SplitData(list(ids), list(ids), np.zeros(len(ids), dtype=np.int64), list(ids))


def table(**first):
    values = np.array(list(first.values()))
    return Predictions(list(first), np.stack([values, 1 - values], axis=1), CLASSES)


SPLITS = {"train": split("n1", "n2"), "val": split("v1"), "test": split("t1")}
PROBES = {"x": table(n1=0.2, n2=0.4, v1=0.9, t1=0.9), "y": table(n1=0.6, n2=0.0, v1=0.9, t1=0.9)}


def first_column(ensemble):
    found = auditing.out_of_sample(PredictionSet({}, PROBES, ensemble), SPLITS)
    return [(part.names, part.photos.image_ids, part.probabilities[:, 0].round(6).tolist()) for part in found]


def test_train_is_answered_by_the_probes_where_the_networks_learned_from_it():
    assert first_column(table(v1=0.1, t1=0.3)) == [
        (["train", "train"], ["n1", "n2"], [0.4, 0.2]),
        (["val", "test"], ["v1", "t1"], [0.1, 0.3]),
    ]


def test_train_is_answered_by_the_ensemble_where_it_did_so_out_of_fold():
    assert first_column(table(n1=0.7, n2=0.8, v1=0.1, t1=0.3)) == [
        (["train", "train", "val"], ["n1", "n2", "v1"], [0.7, 0.8, 0.1]),
        (["test"], ["t1"], [0.3]),
    ]


def test_the_most_doubtful_label_comes_first_with_the_likeliest_other_class():
    # Sure and right 98 times, sure of b once where the label is a, and unsure once.
    ids = [f"i{number:02}" for number in range(100)]
    rows = np.tile([0.97, 0.02, 0.01], (100, 1))
    rows[40], rows[7] = [0.01, 0.97, 0.02], [0.3, 0.3, 0.4]
    photos = SplitData(ids, ids, np.zeros(100, dtype=np.int64), ids)
    found = auditing.doubtful_labels([OutOfSample(["train"] * 100, photos, rows)], ["a", "b", "c"])
    assert found["image_id"].tolist()[:2] == ["i40", "i07"] and len(found) == 100
    assert found["suggested_label"].tolist()[:3] == ["b", "c", "b"]
    assert found["score"].iloc[0] > 0.5 > 0.1 > found["score"].iloc[1] > found["score"].iloc[2]
    expected = auditing.expected_wrong(found, 1)
    assert expected["listed"] == round(found["score"].iloc[0], 1) and expected["all"] == pytest.approx(1, abs=0.3)
    assert set(expected) == {"first_20", "first_50", "first_100", "listed", "all"}


def test_no_photos_have_no_doubtful_labels():
    found = auditing.doubtful_labels([OutOfSample([], split(), np.zeros((0, 2)))], CLASSES)
    assert found.empty and auditing.expected_wrong(found, 0) == {"listed": 0.0, "all": 0.0}


def test_a_decided_label_is_not_listed_again():
    found = pd.DataFrame({"image_id": ["a", "b", "c"], "score": [0.9, 0.8, 0.7]})
    decisions = pd.DataFrame({"image_id": ["a", "c"], "kind": ["label", "box"]})
    left = auditing.without_decided(found, decisions)
    assert left["image_id"].tolist() == ["b", "c"] and left.index.tolist() == [0, 1]
