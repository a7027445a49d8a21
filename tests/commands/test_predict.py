"""What surrounds the networks in prediction: which photos, which answers, which file for a contest."""

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


def test_photos_are_found_in_files_folders_and_tables(tmp_path):
    for name in ("b/2.jpg", "b/a/1.jpg", "b/.hidden/0.jpg", "c/3.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "list.csv").write_text("path,other\nc/3.jpg,x\nc/lost.jpg,y\n")
    found = predict.find([tmp_path / "c" / "3.jpg", tmp_path / "b", tmp_path / "list.csv", tmp_path / "no.jpg"])
    expected = ["c/3.jpg", "b/2.jpg", "b/a/1.jpg", "c/3.jpg", "c/lost.jpg", "no.jpg"]
    assert found == [tmp_path / name for name in expected]


def test_sources_without_photos_are_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(IngestError, match="empty: expected photos"):
        predict.find([tmp_path / "empty"])
    (tmp_path / "list.csv").write_text("file\na.jpg\n")
    with pytest.raises(TableError, match="expected a column `path`"):
        predict.find([tmp_path / "list.csv"])


def test_the_two_likeliest_classes():
    assert predict.best_two(np.array([0.2, 0.1, 0.70004]), CLASSES) == ("bus", 0.7, "car", 0.2)
    assert predict.best_two(np.array([0.4, 0.4, 0.2]), CLASSES)[0::2] == ("car", "van")


def picture(value):
    return np.full((2, 2, 3), value, np.uint8)


def prepared(values):
    """A preparation, two photos at a time, that gives pictures of these values; None is a broken photo."""
    rows = [
        (Path(f"{n}.jpg"), ModelInput(None, "truncated: x") if v is None else ModelInput(picture(v), ""))
        for n, v in enumerate(values)
    ]
    settings = SimpleNamespace(detect=SimpleNamespace(runtime=SimpleNamespace(batch_size=2)))
    return SimpleNamespace(all=lambda _paths: iter(rows), settings=settings)


def test_answers_go_to_their_photos_and_broken_ones_say_why():
    asked = []

    def classify(pictures):
        asked.append(len(pictures))
        return np.eye(3)[pictures[:, 0, 0, 0]] * 0.7 + 0.1

    found = predict.predict([Path("x")] * 5, Ensemble(prepared([2, None, None, None, 1]), classify, CLASSES))
    assert asked == [1, 1]
    assert found["label"].tolist() == ["bus", "", "", "", "van"]
    assert found["note"].tolist() == ["", *["truncated: x"] * 3, ""]
    assert found["probability"].tolist() == pytest.approx([0.8, np.nan, np.nan, np.nan, 0.8], nan_ok=True)
    assert found.columns.tolist() == list(predict.COLUMNS)


def test_a_contest_gets_an_answer_to_every_photo():
    paths = ["in/a.jpg", "in/b.png", "in/c.jpg"]
    answers = pd.DataFrame({"path": paths, "label": ["", "van", "van"]})
    sent = predict.submission(answers, "stem", ("image", "model"))
    assert sent.to_dict("list") == {"image": ["a", "b", "c"], "model": ["van"] * 3}
    assert predict.submission(answers, "name", ("id", "x"))["id"].tolist() == ["a.jpg", "b.png", "c.jpg"]
    assert predict.submission(answers, "path", ("id", "x"))["id"].tolist() == paths
    assert predict.submission(answers.assign(label=""), "path", ("id", "x"))["x"].tolist() == [""] * 3
