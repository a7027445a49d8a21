"""Heat maps of the galleries, by a network whose maps are the colours of a photo."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from stages.core.archive import Archive
from stages.images.settings import InputSettings
from stages.report.heat_maps import HeatMapThumbnails, ShownModel
from stages.report.pictures import Thumbnail
from tests import archives
from tests.commands import tiny_bundle

ROW = pd.Series({"image_id": "0" * 16, "path": "a.jpg", "split": "test"})
GREY = Thumbnail(np.full((20, 40, 3), 90, np.uint8), "")


def item(region):
    return InputSettings(region=region, background="keep", width=40, height=30)


@pytest.fixture
def model(tmp_path):
    """A model of three classes, red, green and blue, that sees a red upper left and a green lower right."""
    image = np.zeros((30, 40, 3), np.uint8)
    image[5:15, :20, 0], image[15:25, 20:, 1] = 255, 255
    archives.put(tmp_path / "inputs", {f"{ROW['image_id']}.png": image})
    (tmp_path / "model.onnx").write_bytes(tiny_bundle.classifier((40, 30)))
    return ShownModel(tmp_path / "model.onnx", Archive(tmp_path / "inputs"), item("box"), 0.5)


def maps(*models, crop=GREY, masks=None):
    store = SimpleNamespace(crop=lambda _: crop, photo=lambda *_: GREY)
    return HeatMapThumbnails(list(models), ["red", "green", "blue"], store, masks)


def heat(thumbnail):
    return thumbnail.image.max(axis=2).astype(int) - thumbnail.image.min(axis=2)


def test_each_class_has_its_own_map_on_the_crop(model):
    """The crop of 40 x 20 lies in rows 5 to 24 of the frame."""
    for label, hot, cold in (("red", np.s_[1:9, :18], np.s_[11:, 22:]), ("green", np.s_[11:19, 22:], np.s_[:9, :18])):
        (found,) = maps(model).of(ROW, label)
        assert found.image.shape == (20, 40, 3) and heat(found)[hot].min() > 60 and heat(found)[cold].max() == 0
    (nothing,) = maps(model).of(ROW, "blue")
    np.testing.assert_array_equal(nothing.image, GREY.image)


def test_a_model_that_sees_the_crop_cut_to_its_mask_has_its_map_there(tmp_path, model):
    """The mask is the lower right quarter of 80 x 40; the model sees it stretched, red in its upper left."""
    mask = np.zeros((40, 80), np.uint8)
    mask[20:, 40:] = 255
    archives.put(tmp_path / "masks", {f"{ROW['image_id']}.png": mask})
    cut = model._replace(item=item("box").replace(mask_margin=0.0, fit="squash"))
    drawn = maps(cut, masks=Archive(tmp_path / "masks"))
    (found,) = drawn.of(pd.concat([ROW, pd.Series({"is_masked": True})]), "red")
    assert heat(found)[12:14, 21:28].min() > 60 and heat(found)[:10].max() == heat(found)[:, :20].max() == 0
    (whole,) = drawn.of(pd.concat([ROW, pd.Series({"is_masked": False})]), "red")
    assert heat(whole)[4:9, 1:18].min() > 60


def test_models_of_the_photo_have_a_map_of_their_own_and_those_without_weight_none(model):
    whole, without = model._replace(item=item("full_image")), model._replace(weight=0.0)
    assert len(maps(model, whole).of(ROW, "red")) == 2 and maps(without).of(ROW, "red") == []


def test_what_is_missing_has_the_reason(model):
    assert maps(model, crop=Thumbnail(None, "missing")).of(ROW, "red") == [Thumbnail(None, "missing")]
    (lost,) = maps(model).of(ROW.replace("0" * 16, "1" * 16), "red")
    assert lost.image is None and lost.reason == "missing"
