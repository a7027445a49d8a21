"""Heads are found in the graphs of all heads that can be trained, and compute what the network does."""

import itertools

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from stages.classifiers import backbones, bag
from stages.classifiers.backbones import ClassifierConfig
from stages.classifiers.engine import keras
from stages.networks import classifier_head, runtime
from stages.networks.settings import InferenceSettings
from stages.train import onnx_file

HEADS = list(itertools.product(("average", "max", "both"), (0, 7)))
ENGINES = ("openvino", "onnxruntime")


def network(pooling: str, embedding: int, seed: int = 1) -> keras.Model:
    keras.utils.set_random_seed(seed)
    shape = ClassifierConfig((64, 96), (64, 96), 5, pooling=pooling, embedding=embedding)
    model = backbones.build(backbones.find("efficientnet_lite0"), shape).probabilities
    kernel, bias = model.get_layer(backbones.HEAD).weights
    bias.assign(np.linspace(-1, 1, 5))
    kernel.assign(np.random.default_rng(seed).normal(size=kernel.shape) / 5)
    return model


def pool(feature_map: np.ndarray, kinds: tuple[str, ...]) -> np.ndarray:
    by_kind = {"average": feature_map.mean(axis=(2, 3)), "max": feature_map.max(axis=(2, 3))}
    return np.concatenate([by_kind[kind] for kind in kinds], axis=1)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("pooling", "embedding"), HEADS)
def test_the_head_makes_the_probabilities_of_the_network(tmp_path, pooling, embedding, engine):
    model = network(pooling, embedding)
    onnx_file.save(model, tmp_path / "model.onnx")
    (head,) = classifier_head.find_heads(onnx.load(tmp_path / "model.onnx"))
    photos = np.random.default_rng(3).integers(0, 255, (2, 64, 96, 3), np.uint8)
    names = [head.feature_map, head.pooled, head.logits]
    run = runtime.load(tmp_path / "model.onnx", names, InferenceSettings(batch_size=2, engine=engine, precision="f32"))
    feature_map, pooled, logits = (np.stack(rows) for rows in zip(*run(photos)))

    assert feature_map.shape == (2, 1280, 2, 3) and not head.is_channels_last
    np.testing.assert_allclose(pool(feature_map, head.pooling), pooled, rtol=1e-4, atol=1e-5)
    if head.embedding:
        pooled = np.maximum(pooled @ head.embedding.kernel + head.embedding.bias, 0)
    np.testing.assert_allclose(pooled @ head.classes.kernel + head.classes.bias, logits, rtol=1e-3, atol=1e-4)
    powers = np.exp(logits)
    expected = model.predict_on_batch(photos)
    np.testing.assert_allclose(powers / powers.sum(axis=1, keepdims=True), expected, atol=1e-4)


def test_several_networks_have_a_head_each(tmp_path):
    networks = [network("average", 0, seed) for seed in (1, 2)]
    onnx_file.save(bag.join(networks), tmp_path / "model.onnx")
    heads = classifier_head.find_heads(onnx.load(tmp_path / "model.onnx"))
    kernels = {head.classes.kernel.tobytes() for head in heads}
    assert kernels == {one.get_layer(backbones.HEAD).kernel.numpy().tobytes() for one in networks}


def test_a_graph_without_a_head_is_refused():
    photo = keras.Input((8, 8, 3), dtype="uint8", name="photo")
    features = keras.layers.Rescaling(1.0)(photo)
    outputs = keras.layers.Softmax()(keras.layers.Flatten()(features))
    graph = onnx_file.keras_to_onnx.convert(keras.Model(photo, outputs))
    with pytest.raises(classifier_head.HeadError, match="expected a classifier that ends in pooling"):
        classifier_head.find_heads(graph)


@pytest.mark.parametrize("perms", [(), ((0, 3, 1, 2),), ((0, 3, 1, 2), (0, 2, 3, 1))])
@pytest.mark.parametrize("is_last", [False, True])
def test_the_axis_of_features_is_found_through_transpositions(perms, is_last):
    """Features stay at one axis while a map is transposed: the axis of what is pooled is followed back."""
    nodes, name, axis = [], "map", 3 if is_last else 1
    for number, perm in enumerate(perms):
        nodes.append(helper.make_node("Transpose", [name], [f"moved{number}"], perm=perm))
        name, axis = f"moved{number}", perm.index(axis)
    if axis == 2:
        return  # such a map is no batch of images
    places = [place for place in (1, 2, 3) if place != axis]
    nodes += [
        helper.make_node("ReduceMean", [name], ["pooled"], axes=places, keepdims=0),
        helper.make_node("MatMul", ["pooled", "kernel"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"]),
    ]
    graph = helper.make_graph(nodes, "g", [], [], [numpy_helper.from_array(np.eye(2, dtype=np.float32), "kernel")])
    (head,) = classifier_head.find_heads(helper.make_model(graph))
    assert head.feature_map == "map" and head.is_channels_last == is_last
