import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages.commands import left_out_classes, open_set, open_set_scores
from stages.commands.left_out_classes import LabelledPhotos, Networks
from stages.core import settings
from stages.core.errors import UserError
from stages.novelty.scores import SCORES
from stages.novelty.settings import NoveltySettings
from stages.schemas.split_data import SplitData
from stages.scoring.network_outputs import NetworkOutputs
from tests.commands import tiny_bundle
from tests.novelty.test_stage import RED, make_project, photo

CLASSES = ["a", "b", "c"]


def data(per_class=10):
    """Photos of three classes, the same number of each in each split."""
    labels = np.tile(np.repeat([0, 1, 2], per_class), 3)
    ids = [f"{number:03d}" for number in range(len(labels))]
    return LabelledPhotos(SplitData(ids, ids, labels, ids), np.repeat(["train", "val", "test"], 3 * per_class), CLASSES)


def separated(photos):
    """Outputs in which each class has a direction of its own, and logits that are sure of `a` and `b` alone."""
    labels = photos.photos.labels
    features = np.eye(6)[labels] + np.random.default_rng(1).normal(size=(len(labels), 6)) / 20
    return {"m": NetworkOutputs(features.astype(np.float32), 9 * features[:, :2].astype(np.float32))}


def test_a_class_apart_from_the_others_is_found_by_every_score():
    photos = data()
    rows = open_set_scores.score(separated(photos), photos, [2], NoveltySettings())
    assert len(rows) == 2 * (1 + len(SCORES))
    for row in rows:
        assert (row["left_out"], row["n_known"], row["n_unknown"]) == ("c", 20, 30)
        # The shared Gaussian of two classes need not tell what is between their means.
        if row["score"] != "relative_mahalanobis":
            assert row["auroc"] == pytest.approx(1) and row["fpr95"] == 0 and row["recall"] == 1, row["score"]


def test_classes_left_out_together_have_a_row_each_and_are_not_known():
    photos = data()
    rows = open_set_scores.score(separated(photos), photos, [0, 2], NoveltySettings())
    assert {(row["left_out"], row["n_known"], row["n_unknown"]) for row in rows} == {("a", 10, 30), ("c", 10, 30)}


def test_a_split_without_photos_has_no_row_and_val_decides_the_order():
    rows = [
        {"score": name, "left_out": label, "split": "val", "auroc": auroc, "fpr95": 0, "recall": 0, "false_alarms": 0}
        for name, values in {"energy": (0.5, 0.7), "neighbours": (0.9, 0.9)}.items()
        for label, auroc in zip("ab", values)
    ]
    found = open_set_scores.summary(open_set_scores.table(rows))
    assert list(found) == ["neighbours", "energy"] and found["energy"]["val_auroc"] == pytest.approx(0.6)
    assert "test_auroc" not in found["energy"]
    assert open_set_scores.summary(open_set_scores.table([])) == {}


def test_the_summary_fits_into_a_terminal():
    photos = data()
    rows = open_set_scores.score(separated(photos), photos, [2], NoveltySettings())
    shown = open_set_scores.text(open_set_scores.summary(open_set_scores.table(rows)))
    assert max(map(len, shown.split("\n"))) < 100 and "false_alarms" in shown and "novelty.scores" in shown
    assert "Empty" in open_set_scores.text({})


def test_groups_by_hand_and_two_classes_stay():
    assert open_set.class_groups(["a", "c"], CLASSES, 1) == [[0], [2]]
    assert open_set.class_groups(list("abcde"), list("abcde"), 2) == [[0, 1], [2, 3], [4]]
    with pytest.raises(UserError, match="--together 2: expected two known classes or more, of 3"):
        open_set.class_groups(CLASSES, CLASSES, 2)


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("missing", ["train", "val"])
def test_splits_without_photos_to_fit_or_choose_on_are_refused(missing):
    path = Path("data/splits.csv")
    rows = pd.read_csv(path, dtype=str, keep_default_na=False)
    rows.replace({"split": {missing: "test"}}).to_csv(path, index=False)
    with pytest.raises(UserError, match=f"expected photos of {missing}, which novelty is measured with, found none"):
        LabelledPhotos.read()


def test_parameters_of_the_inputs_are_refused_and_unknown_names_too(tmp_path):
    source, out = tiny_bundle.ROOT / "params.yaml", tmp_path / "logs" / "params.yaml"
    before = source.read_bytes()
    open_set.write_params(source, ["train.epochs=3"], out)
    assert settings.load(out)["train"]["epochs"] == 3 and source.read_bytes() == before
    with pytest.raises(UserError, match=r"--set crop\.margin=0: expected a parameter of train, .*found one of `crop`"):
        open_set.write_params(source, ["crop.margin=0"], out)
    with pytest.raises(UserError, match="--classes: expected names of a, b, c, found `d`"):
        open_set.chosen(["a", "d"], CLASSES, "--classes")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of green photos, of two classes; training writes a tiny network and counts."""
    folder = make_project(tmp_path, "null")
    table = pd.read_csv(folder / "data" / "splits.csv", dtype=str, keep_default_na=False)
    table["label"] = [tiny_bundle.CLASSES[number % 3] for number in range(len(table))]
    table.to_csv(folder / "data" / "splits.csv", index=False)
    monkeypatch.chdir(folder)
    trained = []

    def train(*words, **_):
        options = dict(zip(words[3::2], words[4::2]))
        labels = set(pd.read_csv(options["--splits"], dtype=str)["label"])
        trained.append(
            (options["--model"], sorted(labels), Path(options["--classes"]).read_text("utf-8").split("\n")[:-1])
        )
        options["--out"].mkdir()
        (options["--out"] / "model.onnx").write_bytes(tiny_bundle.classifier((80, 50)))

    monkeypatch.setattr(left_out_classes.programs, "run_logged", train)
    return trained


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["open_set", *arguments])
    open_set.main()


def test_each_class_is_left_out_of_a_training_that_is_not_repeated(project, monkeypatch, capsys):
    run(monkeypatch, "--models", "a", "--classes", "red", "green")
    red, green, blue = tiny_bundle.CLASSES
    assert project == [("a", sorted([green, blue]), [green, blue]), ("a", sorted([red, blue]), [red, blue])]
    found = json.loads(Path("metrics/open_set/open_set.json").read_text("utf-8"))
    assert set(found["scores"]) == {*SCORES, "novelty.scores"} and found["models"] == ["a"]
    table = pd.read_csv("metrics/open_set/classes.csv")
    assert set(table["left_out"]) == {"red", "green"} and (table["n_unknown"] > 0).all()
    assert "neighbours" in capsys.readouterr().out
    assert not list(Path("logs/open_set").rglob("model.onnx"))
    run(monkeypatch, "--models", "a", "--classes", "red", "green")
    assert len(project) == 2
    run(monkeypatch, "--models", "a", "--classes", "red", "-S", "train.epochs=1")
    assert len(project) == 3


def test_a_head_is_fitted_to_the_known_classes_alone(tmp_path):
    photos = data()
    features = np.eye(6, dtype=np.float32)[photos.photos.labels]
    networks = Networks(tmp_path, tiny_bundle.ROOT / "params.yaml", True)
    outputs = networks._with_head(features, photos, [0, 2])
    assert outputs.logits.shape == (90, 2)
    assert (outputs.logits[photos.photos.labels == 2].argmax(axis=1) == 1).all()
    assert (outputs.logits[photos.photos.labels == 0].argmax(axis=1) == 0).all()


def test_photos_of_a_folder_are_scored_by_the_networks_of_the_project(project, monkeypatch, tmp_path):
    folder = tmp_path / "others"
    folder.mkdir()
    for number in range(3):
        photo(folder / f"{number}.png", RED)
    (folder / "damaged.jpg").write_bytes(b"")
    run(monkeypatch, "--unknown", str(folder))
    assert project == []
    table = pd.read_csv("metrics/open_set/classes.csv")
    row = table[(table["score"] == "neighbours") & (table["split"] == "test")].iloc[0]
    assert (row["left_out"], row["n_known"], row["n_unknown"]) == (str(folder), 10, 3)
    assert row["auroc"] == pytest.approx(1) and row["fpr95"] == 0
    with pytest.raises(UserError, match="expected photos, found none that can be read"):
        (folder / "0.png").write_bytes(b"")
        for number in (1, 2):
            (folder / f"{number}.png").unlink()
        run(monkeypatch, "--unknown", str(folder))
