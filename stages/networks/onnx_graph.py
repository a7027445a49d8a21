"""Transformations of ONNX graphs that do not change what they compute."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper, shape_inference

from stages.core.errors import UserError


def require_whole(path: Path) -> onnx.ModelProto:
    """The graph in the ONNX file at `path`. Raises UserError where it is cut or holds none."""
    model, problem = None, ""
    try:
        model = onnx.load(path)
    except DecodeError as error:
        problem = str(error)
    if model is None or not model.graph.node:
        raise UserError(
            f"{path}: expected an ONNX network, found: {problem or 'no layer'}; delete it and run `dvc repro {path}`"
        )
    return model


def free_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of `model`, exported for one image, whose inputs and outputs have a free first dimension.

    Only the declared shapes change: the graph's operations must not have a fixed batch size. Declared shapes of inner
    tensors are dropped, since they are those for one image.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for value in [*result.graph.input, *result.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    del result.graph.value_info[:]
    return result


def free_size(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of `model` that takes arrays of any size with as many dimensions as declared, such as images.

    Only the declared shapes change: the graph's operations must not have a fixed size.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for value in result.graph.input:
        for place, dimension in enumerate(value.type.tensor_type.shape.dim):
            dimension.dim_param = f"{value.name}_{place}"
    for value in result.graph.output:
        value.type.tensor_type.ClearField("shape")
    del result.graph.value_info[:]
    return result


def with_outputs(model: onnx.ModelProto, names: Iterable[str]) -> onnx.ModelProto:
    """Return a copy of `model` that also returns the inner tensors of these names, of a shape not declared."""
    result = onnx.ModelProto()
    result.CopyFrom(model)
    known = {value.name for value in result.graph.output}
    for name in names:
        if name not in known:
            result.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    return result


def multiply_before_clip(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of `model` with clip(x, low, high) * c as clip(x * c, low * c, high * c), for constants c > 0.

    OpenVINO replaces clip(x + 3, 0, 6) * c by a hard sigmoid, with 1/6 for any c near that. For a network whose c is
    0.16663, which is 1/6 in 16 bits, this moves boxes by pixels; it does not replace the other order.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    numbers = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer if not tensor.dims}
    readers = Counter(name for node in graph.node for name in node.input)
    readers.update(value.name for value in graph.output)
    clips = {
        node.output[0]: node
        for node in graph.node
        if node.op_type == "Clip"
        and readers[node.output[0]] == 1
        and sum(name in numbers for name in node.input[1:]) == 2
    }
    for node in graph.node:
        for clipped, factor in (node.input, node.input[::-1]) if node.op_type == "Mul" else ():
            if clipped in clips and factor in numbers and numbers[factor] > 0:
                _swap(graph, clips[clipped], node, factor, numbers)
    return result


def _swap(
    graph: onnx.GraphProto, clip: onnx.NodeProto, product: onnx.NodeProto, factor: str, numbers: dict[str, np.ndarray]
) -> None:
    clipped, result = clip.output[0], product.output[0]
    bounds = [f"{result}_{name}" for name in ("low", "high")]
    product.input[:], product.output[:] = [clip.input[0], factor], [clipped]
    for name, scaled in zip(clip.input[1:], bounds):
        graph.initializer.append(numpy_helper.from_array(numbers[name] * numbers[factor], scaled))
    clip.input[:], clip.output[:] = [clipped, *bounds], [result]


def remove_noop_reshapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of `model` without Reshape nodes that do not change the shape, batch dimension aside.

    tf2onnx leaves some of them, different ones from one conversion to the next.
    """
    slim = shape_inference.infer_shapes(model)
    graph = slim.graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in [*graph.input, *graph.value_info]
    }
    outputs = {value.name for value in graph.output}
    reshapes = [node for node in graph.node if node.op_type == "Reshape" and node.output[0] not in outputs]
    named = {node.input[1] for node in reshapes}
    targets = {
        tensor.name: numpy_helper.to_array(tensor).tolist() for tensor in graph.initializer if tensor.name in named
    }
    for node in reshapes:
        (source, target), result = node.input, node.output[0]
        known = shapes.get(source, [])[1:]
        if all(known) and targets.get(target) == [-1, *known]:
            graph.node.remove(node)
            for reader in graph.node:
                reader.input[:] = [source if name == result else name for name in reader.input]
            shapes[result] = shapes[source]
    del graph.value_info[:]
    return slim


def canonical(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of `model` with nodes in a canonical order and with canonical names of inner tensors.

    tf2onnx orders equal nodes at random and puts random parts into names, so that the bytes of two conversions of one
    graph would differ. The names of inputs and outputs stay; nodes and weights that no output needs are removed.
    """
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    graph = plain.graph
    nodes = _sorted_nodes(model.graph)
    names = {value.name: value.name for value in [*graph.input, *graph.output]} | {"": ""}
    for place, node in enumerate(nodes):
        for port, name in enumerate([*node.input, *node.output]):
            names.setdefault(name, f"tensor_{place}_{port}")
        node.input[:] = [names[name] for name in node.input]
        node.output[:] = [names[name] for name in node.output]
        node.name = f"node_{place}"
    initializers = [tensor for tensor in graph.initializer if tensor.name in names]
    for tensor in initializers:
        tensor.name = names[tensor.name]
    initializers.sort(key=lambda tensor: tensor.name)
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(initializers)
    return plain


def _sorted_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Copies of the nodes that the outputs need, each after its inputs, depth first."""
    producers = {name: node for node in graph.node for name in node.output}
    ordered: list[onnx.NodeProto] = []
    placed: set[str] = set()
    waiting = [output.name for output in reversed(graph.output)]
    while waiting:
        node = producers.get(waiting[-1])
        if node is None or node.output[0] in placed:
            waiting.pop()
            continue
        sources = [producers[name] for name in node.input if name in producers]
        missing = [source.output[0] for source in sources if source.output[0] not in placed]
        if missing:
            waiting.append(missing[0])
            continue
        placed.add(node.output[0])
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.attribute.sort(key=lambda attribute: attribute.name)
        ordered.append(copy)
    return ordered
