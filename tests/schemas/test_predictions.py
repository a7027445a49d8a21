import numpy as np
import pytest

from stages.core.errors import TableError
from stages.schemas import predictions
from stages.schemas.predictions import Predictions

CLASSES = ["None", "a,b", 'say "x"', "Škoda", "1"]


def test_a_table_comes_back_exactly_and_sorted_by_id(tmp_path):
    probabilities = np.random.default_rng(0).dirichlet(np.ones(5), 3)
    before = probabilities.copy()
    predictions.write(tmp_path / "p.csv", Predictions(["c", "00", "b"], probabilities, CLASSES))
    found = predictions.read(tmp_path / "p.csv", CLASSES)
    assert found.image_ids == ["00", "b", "c"] and found.classes == CLASSES
    np.testing.assert_array_equal(found.probabilities, probabilities[[1, 2, 0]])
    np.testing.assert_array_equal(probabilities, before)


def test_an_empty_table_comes_back_with_its_classes(tmp_path):
    predictions.write(tmp_path / "p.csv", Predictions([], np.empty((0, 2)), ["a", "b"]))
    found = predictions.read(tmp_path / "p.csv")
    assert found.image_ids == [] and found.probabilities.shape == (0, 2) and found.classes == ["a", "b"]


def test_the_ids_of_digits_stay_text(tmp_path):
    predictions.write(tmp_path / "p.csv", Predictions(["0012345678901234", "1e10"], np.full((2, 2), 0.5), ["a", "b"]))
    assert predictions.read(tmp_path / "p.csv").image_ids == ["0012345678901234", "1e10"]


@pytest.mark.parametrize(
    "body",
    [
        "x,0.5,0.4\n",
        "x,0.6,0.5\n",
        "x,1.5,-0.5\n",
        "x,nan,1\n",
        "x,,1\n",
        "x,inf,0\n",
        "x,a,1\n",
        "x,0.5,0.5\nx,0.5,0.5\n",
    ],
)
def test_rows_that_are_no_probabilities_or_come_twice_are_refused(tmp_path, body):
    (tmp_path / "p.csv").write_text("image_id,a,b\n" + body)
    with pytest.raises(TableError, match=r"p\.csv"):
        predictions.read(tmp_path / "p.csv")


@pytest.mark.parametrize("classes", [["b", "a"], ["a"], ["a", "b", "c"], ["a", "B"]])
def test_other_classes_or_another_order_are_refused(tmp_path, classes):
    (tmp_path / "p.csv").write_text("image_id,a,b\nx,0.5,0.5\n")
    with pytest.raises(TableError, match=r"p\.csv: expected columns image_id, "):
        predictions.read(tmp_path / "p.csv", classes)


@pytest.mark.parametrize("content", ["", "id,a,b\n", "a,b,image_id\n0.5,0.5,x\n"])
def test_a_file_of_another_kind_is_refused_by_name(tmp_path, content):
    (tmp_path / "p.csv").write_text(content)
    with pytest.raises(TableError, match=r"p\.csv"):
        predictions.read(tmp_path / "p.csv")


def test_a_missing_table_is_refused_by_name(tmp_path):
    with pytest.raises(TableError, match=r"p\.csv.*dvc repro"):
        predictions.read(tmp_path / "p.csv")
