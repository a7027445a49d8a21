import numpy as np

from stages.audit import auditing
from stages.audit.auditing import PredictionSet
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
    return {name: rows[:, 0].round(6).tolist() for name, rows in found.items()}


def test_train_is_answered_by_the_probes_where_the_networks_learned_from_it():
    assert first_column(table(v1=0.1, t1=0.3)) == {"train": [0.4, 0.2], "val": [0.1], "test": [0.3]}


def test_train_is_answered_by_the_ensemble_where_it_did_so_out_of_fold():
    ensemble = table(n1=0.7, n2=0.8, v1=0.1, t1=0.3)
    assert first_column(ensemble) == {"train": [0.7, 0.8], "val": [0.1], "test": [0.3]}
