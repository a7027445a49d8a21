"""Trained networks of every family of backbones predict in both engines as in Keras."""

import numpy as np
import onnx
import pytest

from stages.classifiers import backbones, keras_to_onnx
from stages.classifiers.backbones import ClassifierConfig
from stages.classifiers.engine import keras
from stages.core.errors import UserError
from stages.networks import classifier_head, runtime
from stages.networks.settings import InferenceSettings
from stages.train import onnx_file

# Each has layers that tf2onnx alone does not convert, or another order of pooling; the others were tried by hand.
FAMILIES = ("efficientnet_v2_b0", "convnext_tiny", "mobilenet_v3_small")


def network(backbone):
    keras.utils.set_random_seed(1)
    model = backbones.build(backbones.find(backbone), ClassifierConfig((96, 112), (96, 112), 5)).probabilities
    rng = np.random.default_rng(1)
    for weight in model.trainable_weights:
        weight.assign(weight + 0.02 * rng.normal(size=weight.shape))
    return model


@pytest.mark.parametrize("backbone", FAMILIES)
def test_each_family_predicts_in_both_engines_as_in_keras(tmp_path, backbone):
    model, path = network(backbone), tmp_path / "model.onnx"
    onnx_file.save(model, path)
    graph = onnx.load(path)
    assert [value.name for value in graph.graph.input] == ["photo"]
    photos = np.random.default_rng(3).integers(0, 256, (2, 96, 112, 3), np.uint8)
    expected = model.predict_on_batch(photos)
    for engine in ("openvino", "onnxruntime"):
        rule = InferenceSettings(batch_size=2, engine=engine, precision="f32")
        rows = runtime.load(path, [graph.graph.output[0].name], rule)(photos)
        np.testing.assert_allclose([row for (row,) in rows], expected, atol=1e-5)
    (head,) = classifier_head.find_heads(graph)
    np.testing.assert_array_equal(head.classes.kernel, model.get_layer(backbones.HEAD).kernel)


def test_a_graph_that_predicts_something_else_is_not_written(tmp_path, monkeypatch):
    model, convert = network("efficientnet_lite0"), keras_to_onnx.convert
    other = network("efficientnet_lite0")
    other.get_layer(backbones.HEAD).bias.assign([9.0, 0, 0, 0, 0])
    monkeypatch.setattr(keras_to_onnx, "convert", lambda _: convert(other))
    with pytest.raises(
        UserError, match=r"model\.onnx: expected a graph that predicts .* found a difference of 0\.\d+; this"
    ):
        onnx_file.save(model, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_graph_that_no_engine_runs_is_not_written(tmp_path, monkeypatch):
    convert = keras_to_onnx.convert

    def with_unknown_operator(model):
        graph = convert(model)
        next(node for node in graph.graph.node if node.op_type == "Softmax").op_type = "StatefulPartitionedCall"
        return graph

    monkeypatch.setattr(keras_to_onnx, "convert", with_unknown_operator)
    with pytest.raises(UserError, match=r"model\.onnx: expected a graph that predicts .* found .*StatefulPartitioned"):
        onnx_file.save(network("efficientnet_lite0"), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
