import numpy as np
import pytest

from stages.classifiers import backbones, efficientnet_lite
from stages.classifiers.backbones import ClassifierConfig
from stages.classifiers.engine import keras
from stages.core import system
from stages.core.errors import UserError

SHAPE = ClassifierConfig(photo_hw=(40, 50), input_hw=(32, 40), n_classes=3)


@pytest.fixture(scope="module")
def lite0():
    return backbones.build(backbones.find("efficientnet_lite0"), SHAPE)


def as_torch(model):
    """The state dict that `load` would put into `model` as random numbers, every tensor of another value."""
    rng, state = np.random.default_rng(0), {}
    for layer in model.layers:
        if layer.name.startswith("_") and layer.weights:
            if isinstance(layer, keras.layers.BatchNormalization):
                for part in ("weight", "bias", "running_mean", "running_var"):
                    state[f"{layer.name}.{part}"] = rng.random(layer.gamma.shape).astype(np.float32) + 0.5
                state[f"{layer.name}.num_batches_tracked"] = np.zeros((), np.float32)
                continue
            h, w, first, second = layer.weights[0].shape
            depthwise = isinstance(layer, keras.layers.DepthwiseConv2D)
            shape = (first, second, h, w) if depthwise else (second, first, h, w)
            state[f"{layer.name}.weight"] = rng.normal(size=shape).astype(np.float32)
    return state | {"_fc.weight": np.zeros((1000, 1280)), "_fc.bias": np.zeros(1000)}


# Parameters without the ImageNet head, which has 1,281,000: 4.652 M, 5.417 M and 6.092 M in all.
@pytest.mark.parametrize(
    ("name", "blocks", "million"),
    [("efficientnet_lite0", 16, 3.37), ("efficientnet_lite1", 21, 4.14), ("efficientnet_lite2", 21, 4.81)],
)
def test_the_family_has_its_published_size(name, blocks, million):
    network = backbones.build(backbones.find(name), SHAPE)
    trainable = sum(np.prod(w.shape) for w in network.pooled.trainable_weights)
    assert trainable / 1e6 == pytest.approx(million, abs=0.01)
    assert sum(isinstance(x, keras.layers.DepthwiseConv2D) for x in network.pooled.layers) == blocks
    assert network.pooled.output_shape == (None, 1280)


def test_models_take_uint8_photos_and_give_probabilities(lite0):
    photos = np.random.default_rng(0).integers(0, 256, (2, 40, 50, 3)).astype(np.uint8)
    rows = lite0.probabilities.predict_on_batch(photos)
    assert rows.shape == (2, 3) and rows.dtype == np.float32
    np.testing.assert_allclose(rows.sum(axis=1), 1, atol=1e-6)
    logits = lite0.logits.predict_on_batch(photos)
    np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), rows, atol=1e-6)


def test_photos_are_resized_then_normalised():
    network = backbones.build(backbones.find("efficientnet_lite0"), SHAPE)
    normalised = keras.Model(network.logits.input, network.logits.get_layer("normalise").output)
    photo = np.full((1, 40, 50, 3), (127, 255, 0), np.uint8)
    found = normalised.predict_on_batch(photo)
    assert found.shape == (1, 32, 40, 3)
    np.testing.assert_allclose(found[0, 5, 7], [0, 1, -127 / 128], atol=1e-5)


def test_every_tensor_finds_its_place_and_layout(lite0):
    state = as_torch(lite0.pooled)
    efficientnet_lite.load(lite0.pooled, state)
    stem = lite0.pooled.get_layer("_conv_stem").kernel.numpy()
    assert stem[2, 1, 0, 5] == state["_conv_stem.weight"][5, 0, 2, 1]
    depthwise = lite0.pooled.get_layer("_blocks.3._depthwise_conv").weights[0].numpy()
    assert depthwise[4, 1, 7, 0] == state["_blocks.3._depthwise_conv.weight"][7, 0, 4, 1]
    norm = lite0.pooled.get_layer("_blocks.0._bn2")
    for part, weight in zip(("weight", "bias", "running_mean", "running_var"), norm.get_weights()):
        np.testing.assert_array_equal(weight, state[f"_blocks.0._bn2.{part}"])


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("_bn0.bias", None, "expected a tensor `_bn0.bias`, found none"),
        ("_blocks.16._bn0.bias", np.zeros(3), "found none for _blocks.16._bn0.bias"),
        ("_conv_stem.weight", np.zeros((32, 3, 5, 5)), r"`_conv_stem.weight` as \(3, 3, 3, 32\)"),
    ],
)
def test_other_tensors_are_refused_by_name(lite0, name, value, message):
    state = as_torch(lite0.pooled)
    state.pop(name, None)
    if value is not None:
        state[name] = value
    with pytest.raises(efficientnet_lite.WeightsError, match=message):
        efficientnet_lite.load(lite0.pooled, state)


def test_freezing_keeps_the_first_layers_and_all_normalisation():
    network = backbones.build(backbones.find("efficientnet_lite0"), SHAPE)
    backbones.freeze(network.pooled, 0.5, "frozen")
    names = {weight.path.split("/")[0] for weight in network.logits.trainable_weights}
    assert "head" in names and "_conv_head" in names and "_conv_stem" not in names
    assert not any("_bn" in name for name in names)


def test_unknown_backbones_are_refused():
    with pytest.raises(UserError, match=r"expected one of efficientnet_lite0, .* found 'vgg'"):
        backbones.find("vgg")


def test_sixteen_bit_arithmetic_keeps_float32_weights():
    network = backbones.build(backbones.find("efficientnet_lite0"), SHAPE, "mixed_float16")
    assert {str(weight.dtype) for weight in network.logits.weights} == {"float32"}
    assert network.pooled.get_layer("_conv_stem").compute_dtype == "float16"
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.skipif(
    "avx512_fp16" in system.this_cpu()["features"],
    reason="TensorFlow takes 16-bit kernels of this CPU that oneDNN, restricted to AVX2, does not have",
)
def test_sixteen_bit_arithmetic_gives_float32_probabilities():
    network = backbones.build(backbones.find("efficientnet_lite0"), SHAPE, "mixed_float16")
    assert network.probabilities.predict_on_batch(np.zeros((1, 40, 50, 3), np.uint8)).dtype == np.float32


@pytest.mark.parametrize(
    ("pooling", "embedding", "expected"),
    [("average", 0, [2.5, 25]), ("max", 0, [4, 40]), ("both", 0, [2.5, 25, 4, 40]), ("max", 7, None)],
)
def test_feature_maps_are_pooled(pooling, embedding, expected):
    maps = keras.Input((2, 2, 2))
    found = keras.Model(maps, backbones._pool(maps, SHAPE._replace(pooling=pooling, embedding=embedding)))
    values = np.array([[[1, 10], [2, 20]], [[3, 30], [4, 40]]], np.float32)[None]
    (row,) = found.predict_on_batch(values)
    assert row.shape == (7,) if embedding else row.tolist() == expected


def test_normalisation_is_trained_with_batch_norm_trained():
    network = backbones.build(backbones.find("efficientnet_lite0"), SHAPE)
    backbones.freeze(network.pooled, 0.5, "trained")
    names = {weight.path.split("/")[0] for weight in network.logits.trainable_weights}
    assert "_bn1" in names and "_bn0" not in names
