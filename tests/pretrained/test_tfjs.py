import json

import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from google.protobuf import json_format

from stages.core.errors import UserError
from stages.pretrained import tfjs


def manifest(*entries):
    return [{"paths": ["weights.bin"], "weights": list(entries)}]


def entry(name, shape, dtype="float32", stored=None):
    fields = {"name": name, "shape": shape, "dtype": dtype}
    return fields | ({"quantization": {"dtype": stored}} if stored else {})


def test_weights_are_read_from_the_file_in_order(tmp_path):
    half, whole = np.array([[0.5, -2], [3, 4]], np.float16), np.array([7, -8], np.int32)
    (tmp_path / "weights.bin").write_bytes(half.tobytes() + whole.tobytes())
    weights = tfjs.read_weights(manifest(entry("a", [2, 2], stored="float16"), entry("b", [2], "int32")), tmp_path)
    assert weights["a"].tolist() == [[0.5, -2], [3, 4]] and weights["a"].dtype == np.float32
    assert weights["b"].tolist() == [7, -8] and weights["b"].dtype == np.int32


@pytest.mark.parametrize("length", [4, 12])
def test_a_file_of_another_length_is_an_error(tmp_path, length):
    (tmp_path / "weights.bin").write_bytes(bytes(length))
    with pytest.raises(UserError, match=f"expected 8 bytes, found {length}"):
        tfjs.read_weights(manifest(entry("a", [2])), tmp_path)


def fused_model(folder):
    """A convolution of 1x1 with bias and ReLU, fused as by the TensorFlow.js converter: max(2 x - 3, 0)."""
    graph = tf.compat.v1.GraphDef()
    graph.node.add(op="Placeholder", name="images").attr["dtype"].type = tf.float32.as_datatype_enum
    shape = tf.TensorShape([1, 2, 2, 1]).as_proto()
    graph.node[0].attr["shape"].shape.CopyFrom(shape)
    for name in ("kernel", "bias"):
        graph.node.add(op="Const", name=name).attr["dtype"].type = tf.float32.as_datatype_enum
    node = graph.node.add(op="_FusedConv2D", name="out", input=["images", "kernel", "bias"])
    node.attr["T"].type = tf.float32.as_datatype_enum
    node.attr["strides"].list.i.extend([1, 1, 1, 1])
    node.attr["padding"].s = b"SAME"
    node.attr["fused_ops"].list.s.extend([b"BiasAdd", b"Relu"])
    node.attr["num_args"].i = 1
    weights = manifest(entry("kernel", [1, 1, 1, 1]), entry("bias", [1]))
    model = {"modelTopology": json_format.MessageToDict(graph), "weightsManifest": weights}
    (folder / "weights.bin").write_bytes(np.array([2, -3], np.float32).tobytes())
    (folder / "model.json").write_text(json.dumps(model))
    return folder / "model.json"


def test_a_fused_convolution_computes_the_same_in_onnx_for_any_batch(tmp_path):
    proto = tfjs.to_onnx(fused_model(tmp_path), ["out"])
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    batch = np.array([[[1, 2], [3, 4]], [[-1, 0], [1.5, 2.5]]], np.float32)[..., None]
    (output,) = session.run(["out:0"], {"images:0": batch})
    assert output[..., 0].tolist() == [[[0, 1], [3, 5]], [[0, 0], [0, 2]]]
