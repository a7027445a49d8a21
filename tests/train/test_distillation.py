import numpy as np
import pytest

from stages.classifiers.settings import TeachSettings
from stages.core.errors import TableError
from stages.schemas import predictions
from stages.schemas.predictions import Predictions
from stages.schemas.split_data import SplitData
from stages.train import distillation
from tests import archives

CLASSES = ["x", "y", "z"]
TRAIN = SplitData(["b", "d"], ["b.jpg", "d.jpg"], np.array([2, 0]), ["b", "d"])
# A photo without a label, and a copy of one with a label.
UNLABELLED = SplitData(["c", "d", "e"], ["c.jpg", "copy.jpg", "e.jpg"], np.array([-1, -1, -1]), ["c", "d", "e"])


def predicted(*image_ids):
    """Predictions that say z for the first photo, y for the others."""
    rows = [[0.1, 0.2, 0.7], *[[0.1, 0.7, 0.2]] * (len(image_ids) - 1)]
    return Predictions(list(image_ids), np.array(rows), CLASSES)


def test_photos_keep_their_labels_and_others_get_the_likeliest_class():
    photos = distillation.taught_photos(TRAIN, UNLABELLED, predicted("b", "c", "d"))
    assert photos.image_ids == ["b", "c", "d"] and photos.sources == ["b.jpg", "c.jpg", "d.jpg"]
    assert photos.labels.tolist() == [2, 1, 0] and TRAIN.labels.tolist() == [2, 0]


@pytest.mark.parametrize(("image_ids", "named"), [(("b", "c"), "d"), (("b", "d", "f"), "f")])
def test_other_photos_than_those_of_train_and_unlabelled_ones_are_refused(image_ids, named):
    with pytest.raises(ValueError, match=rf"found a difference: {named}$"):
        distillation.taught_photos(TRAIN, UNLABELLED, predicted(*image_ids))


@pytest.fixture
def folder(tmp_path):
    rows = ["b,b.jpg,z,,train", "d,d.jpg,x,,train", "v,v.jpg,y,,val", "c,c.jpg,,,unlabelled"]
    lines = "".join(f"{row},ok,\n" for row in rows)
    (tmp_path / "splits.csv").write_text("image_id,path,label,group,split,status,reason\n" + lines)
    for name in "bdvc":
        archives.put(tmp_path / "photos.zip", {f"{name}.png": np.zeros((4, 6, 3), np.uint8)})
    return tmp_path


def read(folder, table, **teach):
    predictions.write(folder / "targets.csv", table)
    paths = (folder / name for name in ("splits.csv", "photos.zip", "targets.csv"))
    return distillation.read_splits(*paths, CLASSES, TeachSettings(**teach))


def test_soft_targets_are_softened_by_the_temperature(folder):
    table = Predictions(["b", "d"], np.array([[0.64, 0.2, 0.16], [1.0, 0.0, 0.0]]), CLASSES)
    splits = read(folder, table, temperature=2.0)
    roots = np.array([0.8, np.sqrt(0.2), 0.4])
    assert splits.train.names == ["b.png", "d.png"] and splits.train.soft_targets.dtype == np.float32
    np.testing.assert_allclose(splits.train.soft_targets[0], roots / roots.sum(), rtol=1e-6)
    np.testing.assert_allclose(splits.train.soft_targets[1], [1, 0, 0], atol=1e-5)
    assert splits.val.names == ["v.png"] and splits.val.soft_targets is None
    same = read(folder, table, temperature=1.0)
    np.testing.assert_allclose(same.train.soft_targets[0], [0.64, 0.2, 0.16], rtol=1e-6)


def test_a_photo_without_a_label_takes_part_if_it_has_a_target(folder):
    splits = read(folder, predicted("b", "c", "d"))
    assert splits.train.names == ["b.png", "c.png", "d.png"] and splits.train.labels.tolist() == [2, 1, 0]


def test_targets_of_other_photos_name_the_file(folder):
    with pytest.raises(TableError, match=r"targets\.csv: expected the photos of train .*: v; run `dvc repro teach`"):
        read(folder, predicted("b", "d", "v"))
