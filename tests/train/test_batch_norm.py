import numpy as np
import pytest

from stages.classifiers.engine import keras
from stages.train import batch_norm

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture
def model():
    image = keras.Input((4, 4, 3), dtype="uint8")
    x = keras.layers.Rescaling(2.0)(image)
    x = keras.layers.BatchNormalization(name="first")(x)
    return keras.Model(image, keras.layers.BatchNormalization(name="second", center=False)(x))


def random_batches():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 100 * number, (5, 4, 4, 3)).astype(np.uint8) for number in (1, 2)]


def test_the_statistics_become_those_of_all_batches(model):
    batches = random_batches()
    batch_norm.recalibrate(model, batch_norm.compiled_forward(model), batches)
    pixels = 2.0 * np.concatenate(batches).reshape(-1, 3)
    first = model.get_layer("first")
    np.testing.assert_allclose(first.moving_mean, pixels.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(first.moving_variance, pixels.var(axis=0), rtol=1e-5)
    # The inputs of the second layer are normalised by each batch.
    np.testing.assert_allclose(model.get_layer("second").moving_mean, 0, atol=1e-5)
    np.testing.assert_allclose(model.get_layer("second").moving_variance, 1, atol=1e-3)
    assert first.momentum == 0.99
    np.testing.assert_allclose(first.gamma, 1)


def test_the_compiled_forward_pass_can_be_used_again(model):
    forward = batch_norm.compiled_forward(model)
    for batches in (random_batches()[:1], random_batches()[1:]):
        batch_norm.recalibrate(model, forward, batches)
        pixels = 2.0 * batches[0].reshape(-1, 3)
        np.testing.assert_allclose(model.get_layer("first").moving_mean, pixels.mean(axis=0), rtol=1e-5)


def test_frozen_layers_keep_their_statistics(model):
    model.get_layer("first").trainable = False
    batch_norm.recalibrate(model, batch_norm.compiled_forward(model), random_batches())
    np.testing.assert_array_equal(model.get_layer("first").moving_mean, 0)
    assert float(model.get_layer("second").moving_mean[0]) > 10
    model.trainable = False
    before = model.get_weights()
    batch_norm.recalibrate(model, batch_norm.compiled_forward(model), random_batches())
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_without_a_batch_nothing_changes(model):
    batch_norm.recalibrate(model, batch_norm.compiled_forward(model), [])
    np.testing.assert_array_equal(model.get_layer("first").moving_variance, 1)
