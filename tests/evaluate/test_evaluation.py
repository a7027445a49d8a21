import json
import sys

import numpy as np
import pandas as pd
import pytest

from stages.classifiers import bag
from stages.classifiers.engine import keras
from stages.classifiers.image_source import PhotoError
from stages.classifiers.onnx_classifier import TrainedClassifier
from stages.core.archive import Archive
from stages.core.errors import UserError
from stages.evaluate import __main__ as evaluate_stage
from stages.evaluate import evaluation, tta, tta_views
from stages.evaluate.settings import TtaSettings
from stages.schemas import predictions, split_data
from stages.schemas.split_data import SplitData
from stages.scoring import folds
from stages.train import onnx_file
from tests import archives

# Keras 3.15 on NumPy 2.4 warns when it copies a variable out of TensorFlow.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CLASSES = ["red", "green", "blue"]
ROWS = "v1,red,val\nt1,red,test\nt2,green,test\nt3,blue,test\nn1,red,train\n"
# The class in the photo; t3 is labelled blue and is green.
SHOWN = {"v1": 0, "t1": 0, "t2": 1, "t3": 1, "n1": 0}


def colour_model(shift=0):
    """Predicts the softmax of the photo's mean colour over 25.5, each class in the place `shift` further on."""
    photo = keras.Input((8, 8, 3), dtype="uint8")
    mean = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 25.5)(photo))
    places = keras.layers.Dense(3, use_bias=False)
    model = keras.Model(photo, keras.layers.Softmax()(places(mean)))
    places.set_weights([np.roll(np.eye(3, dtype=np.float32), shift, axis=1)])
    return model


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "params.yaml").write_text("runtime: {threads: 2}\ntrain: {batch_size: 2}\ntta: {mode: none}\n")
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    for image_id, number in SHOWN.items():
        rgb = np.tile(np.eye(3)[number] * 255, (8, 8, 1)).astype(np.uint8)
        archives.put(tmp_path / "photos.zip", {f"{image_id}.png": rgb})
    (tmp_path / "models" / "a").mkdir(parents=True)
    onnx_file.save(colour_model(), tmp_path / "models" / "a" / "model.onnx")
    return tmp_path


def run(folder, monkeypatch, rows=ROWS, *options):
    lines = [line.split(",") for line in rows.splitlines()]
    body = "".join(f"{i},{i}.jpg,{label},,{split},{(*status, 'ok')[0]},\n" for i, label, split, *status in lines)
    header = "image_id,path,label,group,split,status,reason\n"
    (folder / "splits.csv").write_text(header + body)
    given = {"params": "params.yaml", "models": "models", "splits": "splits.csv", "photos": "photos.zip"}
    given |= {
        "classes": "classes.txt",
        "predictions": "p.csv",
        "unlabelled": "u.csv",
        "metrics": "m.json",
        "details": "d.json",
        "tables": "tables",
    }
    arguments = [part for name, path in given.items() for part in (f"--{name}", str(folder / path))]
    monkeypatch.setattr(sys, "argv", ["evaluate", "--model", "a", *arguments, *options])
    evaluate_stage.main()
    return json.loads((folder / "d.json").read_text())


def test_tta_modes_are_scored_with_their_number_of_views(folder, monkeypatch):
    (folder / "params.yaml").write_text(
        "runtime: {threads: 2}\ntrain: {batch_size: 2}\ntta: {mode: adaptive, min_views: 2, max_views: 4}\n"
    )
    modes = run(folder, monkeypatch)["tta"]
    # Mirroring keeps the mean colour, so the first two views agree.
    assert {name: modes["test"][name]["views"] for name in modes["test"]} == {
        "none": 1.0, "fixed": 2.0, "adaptive": 2.0, "all": 4.0,
    }  # fmt: skip
    assert modes["val"]["none"]["accuracy"] == 1.0 and modes["test"]["adaptive"]["accuracy"] == pytest.approx(2 / 3)


def test_the_temperature_is_fitted_on_val_and_test_is_scored_before_and_after(folder, monkeypatch):
    metrics = run(folder, monkeypatch)
    # The one val photo is correct, by ten in the logits of three classes. The smoothed target for one photo is 2/3: the
    # two other classes have a quarter of its probability each. On test this lowers the loss of the wrong prediction.
    assert metrics["temperature"] == pytest.approx(10 / np.log(4), rel=1e-3)
    assert metrics["tta"] == {"val": {}, "test": {}}
    assert metrics["test"]["log_loss_calibrated"] < metrics["test"]["log_loss"]
    curve = pd.read_csv(folder / "tables" / "reliability.csv")
    assert curve["model"].unique().tolist() == ["uncalibrated", "calibrated"] and curve["photos"].sum() == 6


def test_val_and_test_are_scored_separately(folder, monkeypatch, capsys):
    metrics = run(folder, monkeypatch)
    assert (metrics["val"]["n"], metrics["val"]["accuracy"]) == (1, 1.0)
    assert (metrics["test"]["n"], metrics["test"]["accuracy"]) == (3, pytest.approx(2 / 3))
    loss = -np.log(np.exp(10) / (np.exp(10) + 2))
    assert metrics["test"]["log_loss"] == pytest.approx((2 * loss + (10 + loss)) / 3, rel=1e-4)
    compared = json.loads((folder / "m.json").read_text())
    assert compared == {name: metrics["test"][name] for name in ("accuracy", "log_loss", "ece")}
    assert capsys.readouterr().out.startswith("evaluate a: 1 val, 3 test, 0 unlabelled, o")  # and the engine


def test_with_folds_each_photo_is_answered_by_the_network_that_did_not_see_it(folder, monkeypatch):
    text = (folder / "params.yaml").read_text().replace("batch_size: 2", "batch_size: 2, folds: 2")
    (folder / "params.yaml").write_text(text)
    # Both know the colours, but the second network names the class after the one that it is shown.
    onnx_file.save(bag.join([colour_model(), colour_model(shift=1)]), folder / "models" / "a" / "model.onnx")
    rows = "v1,red,val\nn1,red,train\nt2,green,test\nt3,green,train\nt1,red,train\n"
    metrics = run(folder, monkeypatch, rows)
    table = predictions.read(folder / "p.csv", CLASSES)
    answered = dict(zip(table.image_ids, table.probabilities.argmax(axis=1).tolist()))
    assert sorted(answered) == ["n1", "t1", "t2", "t3", "v1"] and metrics["val"]["n"] == 4
    photos = split_data.outside_test(split_data.read(folder / "splits.csv", CLASSES))
    first, second = folds.held_out(photos.labels, photos.groups, 2, 0)
    names = np.array(photos.image_ids)
    assert {name: answered[name] for name in names[first]} == {name: SHOWN[name] for name in names[first]}
    assert {name: answered[name] for name in names[second]} == {name: (SHOWN[name] + 1) % 3 for name in names[second]}
    # Test is predicted by the mean of both: as likely the class shown as the next one.
    np.testing.assert_allclose(sorted(table.probabilities[table.image_ids.index("t2")]), [0, 0.5, 0.5], atol=1e-3)


def test_the_tables_written(folder, monkeypatch):
    run(folder, monkeypatch)
    table = predictions.read(folder / "p.csv", CLASSES)
    assert table.image_ids == ["t1", "t2", "t3", "v1"]
    assert table.probabilities.argmax(axis=1).tolist() == [0, 1, 1, 0]
    confusion = pd.read_csv(folder / "tables" / "confusion.csv")
    assert confusion.to_numpy().tolist() == [["blue", "green"], ["green", "green"], ["red", "red"]]
    per_class = pd.read_csv(folder / "tables" / "classes.csv")
    assert per_class["recall"].tolist() == [1, 1, 0] and per_class["support"].tolist() == [1, 1, 1]


def test_photos_without_labels_are_predicted_and_also_those_that_are_copies_of_labelled_ones(folder, monkeypatch):
    for image_id, number in (("u1", 1), ("u2", 2)):
        archives.put(
            folder / "photos.zip", {f"{image_id}.png": np.tile(np.eye(3)[number] * 255, (8, 8, 1)).astype("uint8")}
        )
    # u1 is in it twice and n1 is a train photo; u3 has no model input.
    rows = (
        ROWS
        + "u2,,unlabelled\nu1,,unlabelled\nu1,,unlabelled,rejected\nn1,,unlabelled,rejected\nu3,,unlabelled,failed\n"
    )
    metrics = run(folder, monkeypatch, rows)
    table = predictions.read(folder / "u.csv", CLASSES)
    assert table.image_ids == ["n1", "u1", "u2"]
    assert table.probabilities.argmax(axis=1).tolist() == [SHOWN["n1"], 1, 2]
    # No figure and no prediction of val and test has changed.
    assert predictions.read(folder / "p.csv", CLASSES).image_ids == ["t1", "t2", "t3", "v1"]
    assert (metrics["val"]["n"], metrics["test"]["n"]) == (1, 3)
    run(folder, monkeypatch)
    assert predictions.read(folder / "u.csv", CLASSES).image_ids == []


def by_left_half(photos):
    """Probabilities by the colour of the left half of each photo: mirrored views differ where the halves do."""
    exponents = np.exp([photo[:, :4].mean(axis=(0, 1)) / 100 for photo in photos]).reshape(-1, 3)
    return exponents / exponents.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("mode", ["none", "fixed", "adaptive"])
@pytest.mark.parametrize("n_photos", [0, 1, 7])
def test_views_of_a_group_at_a_time_give_what_all_photos_at_once_give(tmp_path, monkeypatch, mode, n_photos):
    monkeypatch.setattr(evaluation, "_AT_ONCE", 4)  # seven photos are two groups
    photos = np.random.default_rng(0).integers(0, 256, (n_photos, 8, 8, 3), dtype=np.uint8)
    photos[: n_photos // 2, :, 4:] = photos[: n_photos // 2, :, 3::-1]  # a half of them is symmetric
    ids = [f"u{number}" for number in range(n_photos)]
    archives.put(tmp_path / "photos.zip", {f"{name}.png": photo for name, photo in zip(ids, photos)})
    data = SplitData(ids, ids, np.full(n_photos, -1), ids)
    model = TrainedClassifier(by_left_half, [by_left_half], (8, 8), 3)
    rule = TtaSettings(mode=mode, min_views=2, max_views=6, agreement=0.75)
    found = evaluation.predict_adaptively(model, data, Archive(tmp_path / "photos.zip"), rule)

    def predict_view(number, chosen):
        return by_left_half([tta_views.apply_transform(photo, tta_views.VIEWS[number]) for photo in photos[chosen]])

    expected = tta.predict_tta(predict_view, n_photos, rule)
    assert mode != "adaptive" or n_photos < 7 or len(set(expected.views)) > 1  # some photos need more views
    assert found.shape == (n_photos, 3)
    np.testing.assert_allclose(found, expected.probabilities, atol=1e-6)


@pytest.mark.parametrize("rows", ["n1,red,train\n", "n1,red,train\nt1,red,test\n", "n1,red,train\nv1,red,val\n"])
def test_empty_splits_have_no_figures(folder, monkeypatch, rows):
    metrics = run(folder, monkeypatch, rows)
    for split in ("val", "test"):
        assert metrics[split]["n"] == rows.count(split)
        assert ("accuracy" in metrics[split]) == (split in rows)
    assert (json.loads((folder / "m.json").read_text()) != {}) == ("test" in rows)
    assert len(predictions.read(folder / "p.csv", CLASSES).image_ids) == rows.count("\n") - 1


def test_a_model_of_other_classes_is_rejected(folder, monkeypatch):
    (folder / "classes.txt").write_text("a\nb\n")
    with pytest.raises(UserError, match=r"model\.onnx: expected 2 classes, found 3; run `dvc repro train`"):
        run(folder, monkeypatch, "n1,a,train\n")


def test_a_model_that_is_missing_or_cut_is_an_error_that_names_the_command(folder, monkeypatch):
    path = folder / "models" / "a" / "model.onnx"
    content = path.read_bytes()
    for damaged in (b"", content[:10], content[: len(content) // 2]):
        path.write_bytes(damaged)
        with pytest.raises(
            UserError, match=r"model\.onnx: expected an ONNX network, found: .*; delete it and run `dvc"
        ):
            run(folder, monkeypatch)
    path.unlink()
    with pytest.raises(UserError, match=r"model\.onnx: expected a trained model, found none; run `dvc repro train`"):
        run(folder, monkeypatch)


def test_a_photo_of_another_size_is_named_with_what_to_do(folder, monkeypatch):
    archives.put(folder / "photos.zip", {"t2.png": np.zeros((8, 9, 3), np.uint8)})
    with pytest.raises(PhotoError, match=r"t2\.png among the model inputs: expected a readable image of 8x8 pixels"):
        run(folder, monkeypatch)


def test_a_student_is_one_network_that_did_not_learn_from_val_whatever_the_folds(folder, monkeypatch):
    expected = run(folder, monkeypatch)
    text = (folder / "params.yaml").read_text().replace("batch_size: 2", "batch_size: 2, folds: 2")
    (folder / "params.yaml").write_text(text)
    assert run(folder, monkeypatch, ROWS, "--student") == expected
