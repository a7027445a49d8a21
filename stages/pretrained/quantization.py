"""8-bit convolutions in ONNX graphs: QuantizeLinear and DequantizeLinear around them, from ranges that are known.

Weights are signed, symmetric, one scale for each output channel; activations are unsigned, one scale for each tensor
(Jacob et al. 2018, arXiv 1712.05877; Nagel et al. 2021, A White Paper on Neural Network Quantization, arXiv
2106.08295). Weights have 7 bits, so that the sum of two products fits into the 16 bits in which AVX2 adds them: sums of
numbers are then exact with and without 8-bit instructions. What is computed in 32 bits around them is not.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import onnx
from onnx import helper, numpy_helper, version_converter

# The first with scales per channel in DequantizeLinear.
_OPSET = 13
_WEIGHT_MAX, _ACTIVATION_MAX = 63, 255
# What passes a constant on to the same channel; a resize between equal values gives that value.
_KEEPS_CHANNELS = ("Relu", "Resize", "MaxPool")


class Offset(NamedTuple):
    """A channel of a convolution's output that never falls below `value`; `tensor` names the output."""

    tensor: str
    channel: int
    value: float


def with_opset(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return `model` in a version of ONNX's operators that has what quantised graphs need; newer ones stay."""
    (version,) = (entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    return version_converter.convert_version(model, _OPSET) if version < _OPSET else model


def convolutions(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """The convolutions of a graph whose weights are constants, in its order."""
    constants = _constants(model.graph)
    return [node for node in model.graph.node if node.op_type == "Conv" and node.input[1] in constants]


def absorb_offsets(model: onnx.ModelProto, offsets: list[Offset]) -> onnx.ModelProto:
    """Return a copy of `model` in which channels are smaller by constants, and the convolutions that read them know it.

    A channel that is large everywhere costs the others of its tensor their precision. The constant goes into the bias
    of the convolution that makes the channel (bias absorption: Nagel et al. 2019, arXiv 1906.04721, section 4.1.3),
    and into the bias of those that read it, by way of ReLU, pooling, resizing or concatenation. Their zero padding
    stands for the constant, not for zero: a map that is zero but at the borders is added for that. The graph computes
    what it did, where channels reach their offset. Raises ValueError where another operation reads such a channel.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for number, offset in enumerate(offsets):
        _absorb(result.graph, offset, f"offset_{number}")
    return result


def is_absorbable(model: onnx.ModelProto, offset: Offset) -> bool:
    """Whether convolutions alone read the channel: `absorb_offsets` takes the offset."""
    try:
        return bool(list(_readers(model.graph, offset.tensor, offset.channel)))
    except ValueError:
        return False


def quantize(model: onnx.ModelProto, ranges: Mapping[str, tuple[float, float]]) -> onnx.ModelProto:
    """Return a copy of `model` with 8-bit convolutions, given the least and the greatest value of what they read.

    `ranges` is by the name of the tensor; convolutions of other tensors stay as they are.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    constants = _constants(graph)
    nodes: dict[str, onnx.NodeProto] = {}
    for node in list(graph.node):
        if node.op_type == "Conv" and node.input[1] in constants and node.input[0] in ranges:
            image, weights = node.input[:2]
            # Several convolutions may read one tensor.
            if f"{image}_8bit" not in nodes:
                nodes |= _quantize_activation(graph, image, ranges[image])
            if f"{weights}_8bit" not in nodes:
                nodes |= _quantize_weights(graph, weights, constants[weights])
            node.input[0], node.input[1] = f"{image}_8bit", f"{weights}_8bit"
        nodes[node.output[0]] = node
    del graph.node[:], graph.value_info[:]
    graph.node.extend(nodes.values())
    return result


def _quantize_activation(graph: onnx.GraphProto, name: str, low_high: tuple[float, float]) -> dict[str, onnx.NodeProto]:
    """The nodes by output."""
    # Zero, which pads, must have a number of its own.
    low, high = min(low_high[0], 0.0), max(low_high[1], 0.0)
    scale = np.float32((high - low) / _ACTIVATION_MAX or 1.0)
    zero = np.uint8(np.clip(np.rint(-low / scale), 0, _ACTIVATION_MAX))
    constants = [_add(graph, f"{name}_scale", np.array(scale)), _add(graph, f"{name}_zero", np.array(zero))]
    number, result = f"{name}_number", f"{name}_8bit"
    return {
        number: helper.make_node("QuantizeLinear", [name, *constants], [number]),
        result: helper.make_node("DequantizeLinear", [number, *constants], [result]),
    }


def _quantize_weights(graph: onnx.GraphProto, name: str, weights: np.ndarray) -> dict[str, onnx.NodeProto]:
    """The node by output."""
    largest = np.abs(weights).reshape(len(weights), -1).max(axis=1)
    scales = np.where(largest > 0, largest / _WEIGHT_MAX, 1).astype(np.float32)
    numbers = np.rint(weights / scales.reshape(-1, *[1] * (weights.ndim - 1))).astype(np.int8)
    constants = [
        _add(graph, f"{name}_number", numbers),
        _add(graph, f"{name}_scale", scales),
        _add(graph, f"{name}_zero", np.zeros(len(scales), np.int8)),
    ]
    return {f"{name}_8bit": helper.make_node("DequantizeLinear", constants, [f"{name}_8bit"], axis=0)}


def _absorb(graph: onnx.GraphProto, offset: Offset, prefix: str) -> None:
    constants = _constants(graph)
    source = _producer(graph, offset.tensor)
    while source is not None and source.op_type == "Add":  # of an earlier offset
        source = _producer(graph, source.input[0])
    if source is None or source.op_type != "Conv":
        raise ValueError(f"{offset.tensor}: expected the output of a convolution, found none")
    bias = _bias(source, constants).copy()
    bias[offset.channel] -= offset.value
    _set_bias(source, _add(graph, f"{prefix}_source", bias))
    readers = list(_readers(graph, offset.tensor, offset.channel))
    for number, (node, channel) in enumerate(readers):
        _add_border(graph, node, channel, offset.value, f"{prefix}_{number}")


def _readers(graph: onnx.GraphProto, tensor: str, channel: int) -> Iterator[tuple[onnx.NodeProto, int]]:
    """The convolutions that read a channel of a tensor, by whatever passes it on, and its number there."""
    if any(value.name == tensor for value in graph.output):
        raise ValueError(f"{tensor}: expected an inner tensor, found an output of the network")
    for node in list(graph.node):
        if tensor not in node.input or node.op_type == "Shape":
            continue
        if node.op_type == "Conv":
            yield node, channel
        elif node.op_type in _KEEPS_CHANNELS and node.input[0] == tensor:
            yield from _readers(graph, node.output[0], channel)
        elif node.op_type == "Concat":
            for place in (place for place, name in enumerate(node.input) if name == tensor):
                before = sum(_n_channels(graph, name) for name in node.input[:place])
                yield from _readers(graph, node.output[0], channel + before)
        else:
            raise ValueError(f"{tensor}: expected convolutions to read channel {channel}, found {node.op_type}")


def _add_border(
    graph: onnx.GraphProto,
    node: onnx.NodeProto,
    channel: int,
    value: float,
    prefix: str,
) -> None:
    """Give a convolution the constant that a channel of its input lacks: its bias inside, a map at the borders."""
    constants = _constants(graph)  # anew: a convolution may read the channel in several places
    weights = constants[node.input[1]][:, channel : channel + 1] * np.float32(value)
    inside = weights.sum(axis=(1, 2, 3), dtype=np.float64).astype(np.float32)
    _set_bias(node, _add(graph, f"{prefix}_bias", _bias(node, constants) + inside))
    numbers = {"one": [1], "first": [2], "last": [4]}
    one, first, last = (_add(graph, f"{prefix}_{name}", np.array(n, np.int64)) for name, n in numbers.items())
    image, output = node.input[0], node.output[0]
    node.output[0] = f"{prefix}_without"
    ones = helper.make_node(
        "ConstantOfShape",
        [f"{prefix}_shape"],
        [f"{prefix}_ones"],
        value=numpy_helper.from_array(np.ones(1, np.float32)),
    )
    map_weights, map_bias = _add(graph, f"{prefix}_weights", weights), _add(graph, f"{prefix}_map_bias", -inside)
    border = helper.make_node("Conv", [ones.output[0], map_weights, map_bias], [f"{prefix}_border"])
    border.attribute.extend(node.attribute)
    added = [
        helper.make_node("Shape", [image], [f"{prefix}_image_shape"]),
        helper.make_node("Slice", [f"{prefix}_image_shape", first, last], [f"{prefix}_size"]),
        helper.make_node("Concat", [one, one, f"{prefix}_size"], [f"{prefix}_shape"], axis=0),
        ones,
        border,
        helper.make_node("Add", [node.output[0], border.output[0]], [output]),
    ]
    place = next(place for place, other in enumerate(graph.node) if other.output[0] == node.output[0])
    for number, new in enumerate(added):
        graph.node.insert(place + 1 + number, new)


def _constants(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes = [node for node in graph.node if node.op_type == "Constant"]
    return found | {node.output[0]: numpy_helper.to_array(node.attribute[0].t) for node in nodes}


def _bias(node: onnx.NodeProto, constants: Mapping[str, np.ndarray]) -> np.ndarray:
    if len(node.input) > 2:
        return constants[node.input[2]]
    return np.zeros(len(constants[node.input[1]]), np.float32)


def _set_bias(node: onnx.NodeProto, name: str) -> None:
    node.input[:] = [*node.input[:2], name]


def _producer(graph: onnx.GraphProto, tensor: str) -> onnx.NodeProto | None:
    return next((node for node in graph.node if tensor in node.output), None)


def _n_channels(graph: onnx.GraphProto, tensor: str) -> int:
    node = _producer(graph, tensor)
    if node is None:
        (value,) = (value for value in graph.input if value.name == tensor)
        return value.type.tensor_type.shape.dim[1].dim_value
    if node.op_type == "Conv":
        return len(_constants(graph)[node.input[1]])
    if node.op_type == "Concat":
        return sum(_n_channels(graph, name) for name in node.input)
    return _n_channels(graph, node.input[0])


def _add(graph: onnx.GraphProto, name: str, values: np.ndarray) -> str:
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
    return name
