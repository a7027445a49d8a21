import numpy as np
import pytest

from stages.classifiers import backbones, folding
from stages.classifiers.backbones import ClassifierConfig
from stages.classifiers.engine import keras, tf

# Keras 3.15 on NumPy 2.4 warns when it copies a variable out of TensorFlow.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SHAPE_HW = (48, 64)
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(0, 256, (3, *SHAPE_HW, 3)).astype(np.uint8)
TARGETS = np.eye(4, dtype=np.float32)[[0, 3, 1]]


def scattered(model):
    """Give every batch normalisation statistics, a scale and an offset that matter."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights([RANDOM.uniform(0.5, 1.5, weight.shape) for weight in layer.get_weights()])
    return model


def network(name="efficientnet_lite0", batch_norm="frozen", share=0.25):
    models = backbones.build(backbones.find(name), ClassifierConfig(SHAPE_HW, SHAPE_HW, 4))
    scattered(models.pooled)
    backbones.freeze(models.pooled, share, batch_norm)
    return models.logits


def gradients(model, variables):
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(TARGETS, model(IMAGES, training=True)))
    return [np.asarray(one) for one in tape.gradient(loss, variables)]


def names(model):
    return {type(layer).__name__ for layer in model.layers}


def require_close(found, expected, tolerance=1e-4, name=""):
    """Equal but for rounding, which is as large as the largest value allows."""
    np.testing.assert_allclose(found, expected, atol=tolerance * np.abs(expected).max(), err_msg=name)


@pytest.mark.parametrize("name", ["efficientnet_lite0", "mobilenet_v3_large", "efficientnet_v2_b0", "convnext_tiny"])
def test_outputs_are_those_of_the_model(name):
    model = network(name)
    require_close(folding.for_inference(model)(IMAGES, training=False), model(IMAGES, training=False))


def shallow(batch_norm):
    """A network of three convolutions: rounding does not grow in it as it does in a deep one with random weights."""
    layers = keras.layers
    x = image = keras.Input((*SHAPE_HW, 3), dtype="uint8")
    x = layers.Rescaling(1 / 128, -1)(x)
    for convolution in (
        layers.Conv2D(16, 3, 2, "same", use_bias=False),
        layers.DepthwiseConv2D(5, 2, "same", use_bias=False),
        layers.Conv2D(8, 1, use_bias=False),
    ):
        x = layers.ReLU(6.0)(layers.BatchNormalization()(convolution(x)))
    pooled = layers.GlobalAveragePooling2D()(x)
    models = keras.Model(image, pooled), keras.Model(image, layers.Dense(4)(pooled))
    scattered(models[0])
    backbones.freeze(models[0], 0.5, batch_norm)
    return models[1]


@pytest.mark.parametrize("make", [network, lambda: shallow("frozen"), lambda: shallow("trained")])
def test_gradients_are_those_of_the_model(make):
    model = make()
    statistics = [np.asarray(weight) for weight in model.non_trainable_weights]
    expected = gradients(model, model.trainable_variables)
    moved = [np.asarray(weight) for weight in model.non_trainable_weights]
    for weight, value in zip(model.non_trainable_weights, statistics):
        weight.assign(value)
    fast = folding.for_training(model)
    found = gradients(fast, model.trainable_variables)
    assert len(found) > 2
    for variable, one, other in zip(model.trainable_variables, found, expected):
        require_close(one, other, 1e-3, variable.path)
    # Batch normalisation that trains takes in the statistics of the batch as before.
    for weight, value in zip(model.non_trainable_weights, moved):
        np.testing.assert_allclose(np.asarray(weight), value, rtol=1e-3, atol=1e-5)


def test_all_of_a_frozen_network_is_folded_and_what_trains_is_not():
    frozen, trained = network(), network(batch_norm="trained")
    assert "BatchNormalization" not in names(folding.for_training(frozen))
    kept = [layer for layer in folding.for_training(trained).layers if type(layer).__name__ == "BatchNormalization"]
    assert kept and all(layer.trainable for layer in kept)
    assert "BatchNormalization" not in names(folding.for_inference(trained))


def test_a_change_of_the_model_is_seen():
    model = network()
    fast = folding.for_inference(model)
    for layer in model.layers:
        layer.set_weights([weight * 1.01 for weight in layer.get_weights()])
    require_close(fast(IMAGES), model(IMAGES))
    assert {id(one) for one in fast.trainable_variables} == {id(one) for one in model.trainable_variables}


def test_what_else_uses_a_convolution_still_has_it():
    image = keras.Input((6, 8, 3))
    convolved = keras.layers.Conv2D(5, 3, bias_initializer="ones")(image)
    both = keras.layers.Add()([keras.layers.BatchNormalization()(convolved), convolved])
    model = scattered(keras.Model(image, both))
    x = RANDOM.normal(size=(2, 6, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(folding.for_inference(model)(x), model(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kernel", [(3, 3), (5, 5), (7, 7), (3, 5), (5, 2)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("size_hw", [(9, 12), (8, 7)])
def test_the_gradients_of_a_depthwise_convolution_are_those_of_tensorflow(kernel, stride, padding, size_hw):
    x = tf.constant(RANDOM.normal(size=(2, *size_hw, 16)).astype(np.float32))
    weights = tf.constant(RANDOM.normal(size=(*kernel, 16, 1)).astype(np.float32))
    results = []
    for convolve in (
        lambda: folding.depthwise_convolution(x, weights, stride, padding),
        lambda: tf.nn.depthwise_conv2d(x, weights, [1, stride, stride, 1], padding),
    ):
        with tf.GradientTape() as tape:
            tape.watch([x, weights])
            y = convolve()
            loss = tf.reduce_sum(tf.sin(y) * tf.range(y.shape[2], dtype=tf.float32)[None, None, :, None])
        results.append([y, *tape.gradient(loss, [x, weights])])
    for one, other in zip(*results, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-3)


def test_a_gpu_has_kernels_of_its_own(monkeypatch):
    model = network()
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: ["a card"])
    assert folding.for_inference(model) is model and folding.for_training(model) is model


@pytest.mark.parametrize(("kernel", "stride"), [((1, 1), 1), ((1, 1), 2), ((3, 3), 1)])
@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_the_gradients_of_a_convolution_are_those_of_tensorflow(kernel, stride, padding):
    x = tf.constant(RANDOM.normal(size=(2, 9, 12, 5)).astype(np.float32))
    weights = tf.constant(RANDOM.normal(size=(*kernel, 5, 7)).astype(np.float32))

    def outcome(convolve):
        with tf.GradientTape() as tape:
            tape.watch([x, weights])
            y = convolve(x, weights, stride, padding)
            loss = tf.reduce_sum(y * tf.reshape(tf.range(tf.size(y), dtype=tf.float32), y.shape))
        return y, *tape.gradient(loss, [x, weights])

    for found, expected in zip(outcome(folding.convolution), outcome(tf.nn.conv2d), strict=True):
        assert found.shape == expected.shape
        require_close(found, expected)
