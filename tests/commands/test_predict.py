"""Prediction around the networks: the list of photos, the table of predictions, the contest file."""

import os
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from stages.commands import predict
from stages.commands.inference_pipeline import ModelInputs
from stages.commands.predict import ListedPhoto, PredictedPhotos
from stages.commands.trained_ensemble import Ensemble, LoadedModel, combine_models
from stages.core import csv_file
from stages.core.errors import TableError, UserError
from stages.evaluate.settings import TtaSettings
from stages.submission import submitting
from stages.submission.settings import SubmissionSettings
from stages.submission.submitting import PhotoPredictions, SubmissionError

CLASSES = ["car", "van", "bus"]


def test_photos_are_listed_from_files_folders_and_tables(tmp_path):
    for name in ("b/2.jpg", "b/a/1.jpg", "b/.hidden/0.jpg", "c/3.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "list.csv").write_text("path,other\nc/3.jpg,x\nc/lost.jpg,y\n")
    photos = predict.list_photos([tmp_path / "c" / "3.jpg", tmp_path / "b", tmp_path / "list.csv", tmp_path / "no.jpg"])
    expected = ["c/3.jpg", "b/2.jpg", "b/a/1.jpg", "c/3.jpg", "c/lost.jpg", "no.jpg"]
    assert [photo.path for photo in photos] == [tmp_path / name for name in expected]
    # Of these, a folder may hold files that are no photos.
    assert [photo.path.parent.name for photo in photos if not photo.is_named] == ["b", "a"]


def test_sources_without_photos_are_rejected(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SubmissionError, match="empty: expected photos"):
        predict.list_photos([tmp_path / "empty"])
    (tmp_path / "list.csv").write_text("file\na.jpg\n")
    with pytest.raises(TableError, match="expected a column `path`"):
        predict.list_photos([tmp_path / "list.csv"])


def predicted(probabilities, paths=None, classes=CLASSES):
    names = paths or [f"{number}.jpg" for number in range(len(probabilities))]
    empty = [""] * len(names)
    return PredictedPhotos(PhotoPredictions(names, empty, empty, np.array(probabilities), classes), empty)


def test_the_table_has_the_two_likeliest_classes_with_four_digits():
    # Of the last photo, the first two differ in the fifth digit.
    table = predict.to_table(predicted([[0.2, 0.1, 0.70004], [0.4, 0.4, 0.2], [0.29998, 0.30002, 0.4]]))
    columns = ("label", "probability", "second_label", "second_probability")
    rows = [("bus", 0.7, "car", 0.2), ("car", 0.4, "van", 0.4), ("bus", 0.4, "van", 0.3)]
    assert list(zip(*(table[name] for name in columns))) == rows


def shown(value):
    """What two inputs show of a photo; only the first has its value."""
    return {"a": np.full((2, 2, 3), value, np.uint8), "b": np.zeros((1, 1, 3), np.uint8)}


def preprocessor(values):
    """A preprocessor with batches of two that returns images of these values; None is a photo that cannot be read."""
    inputs = [ModelInputs(None, "truncated: x") if v is None else ModelInputs(shown(v), "") for v in values]
    settings = SimpleNamespace(detect=SimpleNamespace(inference=SimpleNamespace(batch_size=2)), inputs=("a", "b"))
    return SimpleNamespace(run=lambda paths, _: zip(paths, inputs, strict=True), settings=settings)


def run(listed, ensemble):
    results = enumerate(ensemble.predict([photo.path for photo in listed]))
    return predict.collect(listed, results, ensemble.classes, ensemble.prior)


def photos(*names, is_named=False):
    return [ListedPhoto(Path(name), is_named) for name in names]


PRIOR = np.array([0.25, 0.5, 0.25])
NAMES = ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg"]


def classify(inputs):
    assert inputs["b"].shape[1:] == (1, 1, 3) and len(inputs["b"]) == len(inputs["a"])
    return np.eye(3)[inputs["a"][:, 0, 0, 0]] * 0.7 + 0.1


def test_each_model_sees_the_input_that_it_names():
    """Of the three classes, `a` finds the one of its image's value, `b` another; the weights are 1 and 3."""

    def one_hot(inputs):
        return np.eye(3)[[image[0, 0, 0] for image in inputs]]

    models = {"first": LoadedModel(one_hot, "a"), "second": LoadedModel(one_hot, "b")}
    rule = TtaSettings(mode="none", min_views=1, max_views=1, agreement=1.0)
    combined = combine_models(models, {"first": 1.0, "second": 3.0}, 1.0, rule)
    found = combined({"a": np.full((2, 4, 6, 3), 1, np.uint8), "b": np.full((2, 2, 2, 3), 2, np.uint8)})
    np.testing.assert_allclose(found, [[0, 0.25, 0.75]] * 2, atol=1e-6)


def test_each_photo_has_its_own_prediction_or_a_note():
    batches = []

    def count_and_classify(inputs):
        batches.append(len(inputs["a"]))
        return classify(inputs)

    ensemble = Ensemble(preprocessor([2, None, None, None, 1]), count_and_classify, CLASSES, PRIOR)
    found = run(photos(*NAMES), ensemble)
    assert batches == [1, 1]
    np.testing.assert_allclose(found.predictions.probabilities, [[0.1, 0.1, 0.8], PRIOR, PRIOR, PRIOR, [0.1, 0.8, 0.1]])
    assert found.predictions.reasons == ["", *["truncated"] * 3, ""]
    table = predict.to_table(found)
    assert table["path"] == NAMES and table["label"] == ["bus", "", "", "", "van"]
    assert table["note"] == ["", *["truncated: x"] * 3, ""]
    assert table["probability"] == [pytest.approx(0.8), "", "", "", pytest.approx(0.8)]
    assert tuple(table) == predict.COLUMNS


def test_an_answer_below_the_threshold_has_a_note_beside_that_of_the_preprocessing():
    settled, unsure = ([photo.note for photo in found] for found in (
        list(Ensemble(preprocessor([2, 1]), classify, CLASSES, PRIOR, threshold).predict(["a", "b"]))
        for threshold in (0.79, 0.81)
    ))  # fmt: skip
    assert settled == ["", ""] and unsure == ["unsure", "unsure"]
    cut = unreadable("truncated")._replace(threshold=0.99)
    assert [photo.note for photo in cut.predict(["a"])] == ["truncated: x"]


def unreadable(*reasons):
    """An ensemble whose preprocessor refuses every photo for these reasons."""
    inputs = [ModelInputs(None, f"{reason}: x") for reason in reasons]
    settings = SimpleNamespace(detect=SimpleNamespace(inference=SimpleNamespace(batch_size=2)), inputs=("a", "b"))
    preprocessing = SimpleNamespace(run=lambda paths, _: zip(paths, inputs, strict=True), settings=settings)
    return Ensemble(preprocessing, classify, CLASSES, PRIOR)


def test_files_of_a_folder_that_are_no_photos_have_no_row_and_named_ones_have():
    names = ["Thumbs.db", "list.csv", "damaged.jpg", "no ending"]
    reasons = ["not_an_image", "not_an_image", "not_an_image", "truncated"]
    found = run(photos(*names), unreadable(*reasons))
    assert found.predictions.paths == ["damaged.jpg", "no ending"] and len(found.predictions.probabilities) == 2
    found = run(photos(*names, is_named=True), unreadable(*reasons))
    assert found.predictions.paths == names and len(found.predictions.probabilities) == 4


def test_without_photos_the_tables_are_empty():
    found = run([], Ensemble(preprocessor([]), classify, CLASSES, PRIOR))
    assert found.predictions.probabilities.shape == (0, 3)
    assert predict.to_table(found) == {name: [] for name in predict.COLUMNS}
    assert submitting.submission(found.predictions, SubmissionSettings()) == {"id": [], "label": []}


def test_a_contest_file_has_a_label_for_every_photo():
    paths = ["in/a.jpg", "in/b.png", "in/c.jpg"]
    ensemble = Ensemble(preprocessor([None, 1, 1]), classify, CLASSES, PRIOR)
    found = run(photos(*paths), ensemble)
    predictions, rule = found.predictions, SubmissionSettings(id="stem", id_column="image", label_column="model")
    # The first photo cannot be read: it has the likeliest class of the prior.
    assert submitting.submission(predictions, rule) == {"image": ["a", "b", "c"], "model": ["van"] * 3}
    for name, ids in (("name", ["a.jpg", "b.png", "c.jpg"]), ("path", paths)):
        assert submitting.submission(predictions, SubmissionSettings(id=name))["id"] == ids


def test_outputs_that_cannot_be_written_are_refused_before_the_work(tmp_path):
    (tmp_path / "file").touch()
    good = [tmp_path / "new" / "a.csv", tmp_path / "b.csv", tmp_path / "file"]
    predict.require_outputs(good)
    for bad, found in ((tmp_path, "a folder"), (tmp_path / "file" / "a.csv", "in its place"), (good[1], "twice")):
        with pytest.raises(UserError, match=f"expected .*{found}"):
            predict.require_outputs([*good, bad])


def test_ids_that_repeat_are_refused_before_the_work():
    rule = SubmissionSettings()
    predict.require_ids(photos("a/1.jpg", "a/1.txt", "b/2.jpg"), rule)
    with pytest.raises(SubmissionError, match=r"`1` for a/1\.jpg and b/1\.jpg"):
        predict.require_ids(photos("a/1.jpg", "b/1.jpg"), rule)


def test_names_that_no_table_holds_are_escaped(tmp_path):
    names = [os.fsdecode(b"b\xff.jpg"), "a\rb.jpg", "a\nb, é.jpg"]
    table = predict.to_table(predicted([[1.0, 0.0, 0.0]] * 3, names))
    assert table["path"] == ["b\\udcff.jpg", "a\\rb.jpg", "a\nb, é.jpg"]
    csv_file.write(tmp_path / "out.csv", table)
    assert csv_file.read_column(tmp_path / "out.csv", "path") == table["path"]


@pytest.mark.parametrize("url", ["https://example.com/1.jpg", "s3://bucket/photos"])
def test_a_url_is_refused_by_name(url):
    with pytest.raises(SubmissionError, match="found a URL"):
        predict.list_photos([Path(url)])
