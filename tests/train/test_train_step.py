import numpy as np
import pytest

from stages.classifiers.engine import keras, tf
from stages.core.errors import UserError
from stages.train.loss import weighted_cross_entropy
from stages.train.train_step import averaged_weights, compiled_train_step
from tests.train import small_network

# Keras 3.15 on NumPy 2.4 warns when it copies a variable out of TensorFlow.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def compiled(optimizer="sgd"):
    """The logits of a new network, compiled, and its training step."""
    model = small_network.build().logits
    model.compile(optimizer, weighted_cross_entropy(0, np.ones(3)))
    model.optimizer.build(model.trainable_variables)
    return model, compiled_train_step(model, model, tf.distribute.get_strategy())


def test_a_step_of_sgd_by_hand():
    model, step = compiled(keras.optimizers.SGD(0.5))
    images, targets = small_network.batch()
    logits = np.asarray(model(images))[0]
    probabilities = np.exp(logits) / np.exp(logits).sum()
    # All images are black, so features and convolution get no gradient, and the bias of the head gets p - y.
    kernel, bias = model.layers[-1].get_weights()
    assert step(images, targets) == pytest.approx(-np.log(probabilities[0]), rel=1e-5)
    np.testing.assert_allclose(model.layers[-1].get_weights()[1], bias - 0.5 * (probabilities - [1, 0, 0]), rtol=1e-5)
    np.testing.assert_array_equal(model.layers[-1].get_weights()[0], kernel)
    assert int(model.optimizer.iterations) == 1


def test_weights_equal_those_of_keras_own_training_step():
    custom, step = compiled(keras.optimizers.AdamW(0.01, use_ema=True, ema_momentum=0.9))
    reference, _ = compiled(keras.optimizers.AdamW(0.01, use_ema=True, ema_momentum=0.9))
    rng = np.random.default_rng(0)
    for _ in range(3):
        images = rng.integers(0, 256, (4, *small_network.SIZE_HW, 3)).astype(np.uint8)
        targets = rng.dirichlet([1, 1, 1], 4).astype(np.float32)
        assert step(images, targets) == pytest.approx(float(reference.train_on_batch(images, targets)), rel=1e-6)
    variables = [model.variables + model.optimizer.variables for model in (custom, reference)]
    for first, second in zip(*variables, strict=True):
        np.testing.assert_array_equal(first, second)


def test_gradients_of_a_scaled_loss_are_unscaled():
    """As in float16: a step with a loss scale of 8 equals one without, and an overflow skips the update."""
    plain, plain_step = compiled(keras.optimizers.SGD(0.5))
    scaled, step = compiled(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.5), initial_scale=8.0))
    images, targets = small_network.batch()
    assert step(images + np.uint8(9), targets) == plain_step(images + np.uint8(9), targets)
    for first, second in zip(plain.get_weights(), scaled.get_weights(), strict=True):
        np.testing.assert_allclose(first, second, rtol=1e-6)
    scaled.optimizer.dynamic_scale.assign(3e38)
    before = scaled.get_weights()
    step(images + np.uint8(9), np.float32([[0, 0, 1]] * 4) * 20)
    for first, second in zip(before, scaled.get_weights(), strict=True):
        np.testing.assert_array_equal(first, second)
    assert float(scaled.optimizer.dynamic_scale) == pytest.approx(1.5e38)


def test_a_loss_that_is_not_finite_stops_the_training():
    model, step = compiled()
    model.set_weights([np.full(weight.shape, np.nan) for weight in model.weights])
    with pytest.raises(UserError, match=r"expected a finite loss, found nan; lower train\.learning_rate"):
        step(*small_network.batch())


def test_averaged_weights_by_hand():
    model, step = compiled(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.75))
    trajectory = []
    for _ in range(3):
        step(*small_network.batch())
        trajectory.append(model.get_weights()[-1])
    average = trajectory[0]
    for weights in trajectory[1:]:
        average = 0.75 * average + 0.25 * weights
    assert np.abs(trajectory[2] - trajectory[0]).max() > 0
    np.testing.assert_allclose(averaged_weights(model)[-1], average, rtol=1e-6)
    np.testing.assert_allclose(model.get_weights()[-1], trajectory[2], rtol=1e-6)
