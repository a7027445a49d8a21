import numpy as np
import pytest

from stages.classifiers import backbones, inference
from stages.classifiers.backbones import ClassifierConfig
from stages.core.errors import UserError

# Keras 3.15 on NumPy 2.4 warns when it copies a variable out of TensorFlow.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIDE, CLASSES = 32, 3


@pytest.fixture(scope="module")
def model():
    return backbones.build(
        backbones.find("efficientnet_lite0"), ClassifierConfig((SIDE, SIDE), (SIDE, SIDE), CLASSES)
    ).probabilities


@pytest.fixture(scope="module")
def photos():
    return np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3)).astype(np.uint8)


def test_a_photo_has_the_same_result_wherever_it_stands(model, photos):
    before = photos.copy()
    whole = inference.predict(model, photos, batch_size=4)
    assert whole.shape == (5, CLASSES) and whole.dtype == np.float64
    np.testing.assert_allclose(whole.sum(axis=1), 1, atol=1e-15)
    np.testing.assert_array_equal(inference.predict(model, photos[::-1], 4)[::-1], whole)
    np.testing.assert_array_equal(inference.predict(model, photos[3:4], 4), whole[3:4])
    np.testing.assert_array_equal(photos, before)


def test_no_photos_no_rows(model, photos):
    assert inference.predict(model, photos[:0]).shape == (0, CLASSES)


@pytest.mark.parametrize("bad", [np.zeros((1, SIDE, SIDE, 3)), np.zeros((1, SIDE, SIDE + 1, 3), np.uint8)])
def test_other_photos_are_refused(model, bad):
    with pytest.raises(UserError, match=r"expected uint8 photos \(N, 32, 32, 3\)"):
        inference.predict(model, bad)
