import numpy as np
import pytest

from stages.classifiers.engine import keras
from stages.train import batch_norm

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture
def model():
    photo = keras.Input((4, 4, 3), dtype="uint8")
    x = keras.layers.Rescaling(2.0)(photo)
    x = keras.layers.BatchNormalization(name="first")(x)
    return keras.Model(photo, keras.layers.BatchNormalization(name="second", center=False)(x))


def batches():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 100 * number, (5, 4, 4, 3)).astype(np.uint8) for number in (1, 2)]


def test_statistics_become_those_of_all_batches(model):
    given = batches()
    batch_norm.recalibrate(model, batch_norm.forward(model), given)
    pixels = 2.0 * np.concatenate(given).reshape(-1, 3)
    first = model.get_layer("first")
    np.testing.assert_allclose(first.moving_mean, pixels.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(first.moving_variance, pixels.var(axis=0), rtol=1e-5)
    # What the second one sees was normalised batch by batch.
    np.testing.assert_allclose(model.get_layer("second").moving_mean, 0, atol=1e-5)
    np.testing.assert_allclose(model.get_layer("second").moving_variance, 1, atol=1e-3)
    assert first.momentum == 0.99
    np.testing.assert_allclose(first.gamma, 1)


def test_the_same_function_serves_again(model):
    show = batch_norm.forward(model)
    for given in (batches()[:1], batches()[1:]):
        batch_norm.recalibrate(model, show, given)
        pixels = 2.0 * given[0].reshape(-1, 3)
        np.testing.assert_allclose(model.get_layer("first").moving_mean, pixels.mean(axis=0), rtol=1e-5)


def test_what_is_frozen_stays(model):
    model.get_layer("first").trainable = False
    batch_norm.recalibrate(model, batch_norm.forward(model), batches())
    np.testing.assert_array_equal(model.get_layer("first").moving_mean, 0)
    assert float(model.get_layer("second").moving_mean[0]) > 10
    model.trainable = False
    before = model.get_weights()
    batch_norm.recalibrate(model, batch_norm.forward(model), batches())
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_without_a_batch_nothing_changes(model):
    batch_norm.recalibrate(model, batch_norm.forward(model), [])
    np.testing.assert_array_equal(model.get_layer("first").moving_variance, 1)
