import json

import numpy as np
import pytest

from stages.classifiers.image_source import ImageSource
from stages.classifiers.onnx_classifier import TrainedClassifier
from stages.core.archive import Archive
from stages.core.errors import TableError, UserError
from stages.schemas import predictions
from stages.schemas.predictions import Predictions
from stages.schemas.split_data import SplitData
from stages.students.teacher import Teacher, predict_mirrored
from tests import archives

CLASSES = ["x", "y"]


@pytest.fixture
def folder(tmp_path):
    """An ensemble of a and b, with weights of 3/4 and 1/4 and a temperature of 1/2; c has no weight."""
    ensemble = {"weights": {"a": 0.75, "b": 0.25, "c": 0.0}, "temperature": 0.5}
    (tmp_path / "ensemble.json").write_text(json.dumps(ensemble))
    write(tmp_path, "a", ["i", "j"], [[0.8, 0.2], [0.2, 0.8]])
    write(tmp_path, "b", ["i", "j"], [[0.4, 0.6], [0.6, 0.4]])
    return tmp_path


def write(folder, name, image_ids, rows):
    predictions.write(folder / f"{name}.csv", Predictions(image_ids, np.array(rows), CLASSES))


def test_the_ensemble_is_the_calibrated_average_of_the_models_that_have_a_weight(folder):
    teacher = Teacher(folder / "ensemble.json")
    found = teacher.read(folder, CLASSES)
    assert teacher.names == ["a", "b"] and found.image_ids == ["i", "j"] and found.by_model.shape == (2, 2, 2)
    # Averages of 0.7 and 0.3, which a temperature of one half squares: 0.49 and 0.09 of 0.58.
    np.testing.assert_allclose(found.ensemble, [[49 / 58, 9 / 58], [9 / 58, 49 / 58]])


def test_tables_of_different_photos_are_refused(folder):
    write(folder, "b", ["i", "k"], [[0.4, 0.6], [0.6, 0.4]])
    with pytest.raises(TableError, match=r"b\.csv: expected the photos of a\.csv; run `dvc repro`"):
        Teacher(folder / "ensemble.json").read(folder, CLASSES)


def test_a_missing_ensemble_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"ensemble\.json: expected a JSON file here, found none; run `dvc repro`"):
        Teacher(tmp_path / "ensemble.json")


def by_left_column(photos):
    """The softmax of the red and the green of the leftmost column, over 25.5."""
    exponents = np.exp([photo[:, 0, :2].mean(axis=0) / 25.5 for photo in photos])
    return exponents / exponents.sum(axis=1, keepdims=True)


def photo(left, right):
    image = np.zeros((4, 6, 3), np.uint8)
    image[:, 0], image[:, -1] = left, right
    return image


@pytest.fixture
def images(tmp_path):
    """Photos i, red on the left and green on the right; j, red on both sides; k, black."""
    red, green, black = (255, 0, 0), (0, 255, 0), (0, 0, 0)
    shown = {"i": photo(red, green), "j": photo(red, red), "k": photo(black, black)}
    archives.put(tmp_path / "photos.zip", {f"{name}.png": image for name, image in shown.items()})
    return Archive(tmp_path / "photos.zip")


PHOTOS = SplitData(["i", "j", "k"], ["i", "j", "k"], np.array([0, 0, 1]), ["i", "j", "k"])


def test_a_photo_and_its_mirror_image_are_averaged(images):
    source = ImageSource.of(images, PHOTOS, (4, 6))
    found = predict_mirrored(by_left_column, source, "a")
    sure = 1 / (1 + np.exp(-10))
    np.testing.assert_allclose(found, [[0.5, 0.5], [sure, 1 - sure], [0.5, 0.5]], atol=1e-6)
    assert by_left_column([photo((255, 0, 0), (0, 255, 0))])[0, 0] == pytest.approx(sure)


def test_new_predictions_are_averaged_by_weight(folder, images):
    teacher = Teacher(folder / "ensemble.json")
    model = TrainedClassifier(by_left_column, [by_left_column], (4, 6), 2)
    found = teacher.predict(PHOTOS, [(model, images), (model, images)])
    assert found.image_ids == ["i", "j", "k"] and found.by_model.shape == (2, 3, 2)
    np.testing.assert_allclose(found.ensemble[[0, 2]], [[0.5, 0.5], [0.5, 0.5]], atol=1e-6)
