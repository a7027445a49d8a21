"""Prediction around the networks: the list of photos, the table of predictions, the contest file."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from stages.commands import predict
from stages.commands.inference_pipeline import Ensemble, ModelInput
from stages.core.tables import TableError
from stages.ingest.listing import IngestError

CLASSES = ["car", "van", "bus"]


def test_photos_are_listed_from_files_folders_and_tables(tmp_path):
    for name in ("b/2.jpg", "b/a/1.jpg", "b/.hidden/0.jpg", "c/3.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "list.csv").write_text("path,other\nc/3.jpg,x\nc/lost.jpg,y\n")
    photos = predict.list_photos([tmp_path / "c" / "3.jpg", tmp_path / "b", tmp_path / "list.csv", tmp_path / "no.jpg"])
    expected = ["c/3.jpg", "b/2.jpg", "b/a/1.jpg", "c/3.jpg", "c/lost.jpg", "no.jpg"]
    assert photos == [tmp_path / name for name in expected]


def test_sources_without_photos_are_rejected(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(IngestError, match="empty: expected photos"):
        predict.list_photos([tmp_path / "empty"])
    (tmp_path / "list.csv").write_text("file\na.jpg\n")
    with pytest.raises(TableError, match="expected a column `path`"):
        predict.list_photos([tmp_path / "list.csv"])


def test_best_two_returns_the_two_likeliest_classes():
    assert predict.best_two(np.array([0.2, 0.1, 0.70004]), CLASSES) == ("bus", 0.7, "car", 0.2)
    assert predict.best_two(np.array([0.4, 0.4, 0.2]), CLASSES)[0::2] == ("car", "van")


def image(value):
    return np.full((2, 2, 3), value, np.uint8)


def preprocessor(values):
    """A preprocessor with batches of two that returns images of these values; None is a photo that cannot be read."""
    rows = [
        (Path(f"{n}.jpg"), ModelInput(None, "truncated: x") if v is None else ModelInput(image(v), ""))
        for n, v in enumerate(values)
    ]
    settings = SimpleNamespace(detect=SimpleNamespace(inference=SimpleNamespace(batch_size=2)))
    return SimpleNamespace(run=lambda _paths: iter(rows), settings=settings)


def test_each_photo_has_its_own_prediction_or_a_note():
    batches = []

    def classify(inputs):
        batches.append(len(inputs))
        return np.eye(3)[inputs[:, 0, 0, 0]] * 0.7 + 0.1

    table = predict.predict([Path("x")] * 5, Ensemble(preprocessor([2, None, None, None, 1]), classify, CLASSES))
    assert batches == [1, 1]
    assert table["label"].tolist() == ["bus", "", "", "", "van"]
    assert table["note"].tolist() == ["", *["truncated: x"] * 3, ""]
    assert table["probability"].tolist() == pytest.approx([0.8, np.nan, np.nan, np.nan, 0.8], nan_ok=True)
    assert table.columns.tolist() == list(predict.COLUMNS)


def test_a_contest_file_has_a_label_for_every_photo():
    paths = ["in/a.jpg", "in/b.png", "in/c.jpg"]
    predictions = pd.DataFrame({"path": paths, "label": ["", "van", "van"]})
    submission = predict.submission(predictions, "stem", ("image", "model"))
    assert submission.to_dict("list") == {"image": ["a", "b", "c"], "model": ["van"] * 3}
    assert predict.submission(predictions, "name", ("id", "x"))["id"].tolist() == ["a.jpg", "b.png", "c.jpg"]
    assert predict.submission(predictions, "path", ("id", "x"))["id"].tolist() == paths
    assert predict.submission(predictions.assign(label=""), "path", ("id", "x"))["x"].tolist() == [""] * 3
