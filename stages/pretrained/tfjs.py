"""Convert TensorFlow.js graph models to ONNX, with given nodes as outputs.

tf2onnx converts the graph. It does not support the fused operations of the TensorFlow.js converter (`_FusedConv2D`),
so these are first split into the plain operations that they combine.

With a CenterNet's heads as outputs, the ONNX graph agrees with TensorFlow to 1e-6 in the heat map and 2e-3 px in the
sizes, if TensorFlow runs without oneDNN (TF_ENABLE_ONEDNN_OPTS=0). With oneDNN, the default on a CPU, TensorFlow's own
sizes differ by up to 5 px in cells without a car and 0.7 px in cells with one: these differences come from the
arithmetic of the reference, not from the conversion.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf import json_format

from stages.classifiers.engine import tf
from stages.core.errors import UserError

_SPLIT = {"_FusedConv2D": "Conv2D", "FusedDepthwiseConv2dNative": "DepthwiseConv2dNative"}
_FUSED_ONLY = ("fused_ops", "num_args", "num_host_args", "epsilon", "leakyrelu_alpha", "TArgs")
_OPSET = 17

# That functions for graphs of TensorFlow 1 are old: this is such a graph.
tf.get_logger().setLevel("ERROR")


def to_onnx(graph_json: Path, outputs: list[str]) -> onnx.ModelProto:
    """Convert the part of a TensorFlow.js graph model that computes `outputs` (names of nodes).

    The batch dimension of the input becomes dynamic. The weights are in files beside `graph_json`, which lists them.
    """
    import tf2onnx  # after TensorFlow, whose messages it would bring

    model = json.loads(graph_json.read_text(encoding="utf-8"))
    graph = json_format.ParseDict(model["modelTopology"], tf.compat.v1.GraphDef(), ignore_unknown_fields=True)
    weights = read_weights(model["weightsManifest"], graph_json.parent)
    for node in graph.node:
        if node.op == "Const":
            node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(weights[node.name]))
    graph = split_fused(tf.compat.v1.graph_util.extract_sub_graph(graph, outputs))
    inputs = [node for node in graph.node if node.op == "Placeholder"]
    for node in inputs:
        node.attr["shape"].shape.dim[0].size = -1
    proto, _ = tf2onnx.convert.from_graph_def(
        graph,
        input_names=[f"{node.name}:0" for node in inputs],
        output_names=[f"{name}:0" for name in outputs],
        opset=_OPSET,
    )
    return proto


def read_weights(manifest: list[dict[str, Any]], folder: Path) -> dict[str, np.ndarray]:
    """The weights of a TensorFlow.js manifest by name; those quantised to float16 become float32.

    Raises UserError if the files have more or fewer bytes than the manifest states.
    """
    weights = {}
    for group in manifest:
        content = b"".join((folder / path).read_bytes() for path in group["paths"])
        offset = 0
        for entry in group["weights"]:
            stored = np.dtype(entry.get("quantization", entry)["dtype"])
            count = int(np.prod(entry["shape"]))
            end = offset + count * stored.itemsize
            if end <= len(content):
                values = np.frombuffer(content, stored, count, offset)
                weights[entry["name"]] = values.reshape(entry["shape"]).astype(entry["dtype"])
            offset = end
        if offset != len(content):
            raise UserError(f"{', '.join(group['paths'])}: expected {offset} bytes, found {len(content)}")
    return weights


def split_fused(graph: Any) -> Any:
    """Replace each fused convolution of a GraphDef by its convolution, bias and activation.

    The last of them keeps the name of the fused node, so the nodes that read it need not change.
    """
    plain = tf.compat.v1.GraphDef(versions=graph.versions)
    for node in graph.node:
        if node.op not in _SPLIT:
            plain.node.append(node)
            continue
        convolution = plain.node.add()
        convolution.CopyFrom(node)
        convolution.op = _SPLIT[node.op]
        convolution.name = f"{node.name}/{convolution.op}"
        del convolution.input[2:]
        for key in _FUSED_ONLY:
            convolution.attr.pop(key, None)
        _append_chain(plain, node, convolution.name)
    return plain


def _append_chain(plain: Any, fused: Any, previous: str) -> None:
    operations = [name.decode() for name in fused.attr["fused_ops"].list.s]
    for operation in operations:
        is_last = operation == operations[-1]
        name = fused.name if is_last else f"{fused.name}/{operation}"
        extra = [fused.input[2]] if operation == "BiasAdd" else []
        node = plain.node.add(op=operation, name=name, input=[previous, *extra])
        node.attr["T"].type = tf.float32.as_datatype_enum
        previous = name
