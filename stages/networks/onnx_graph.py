"""Small changes to ONNX graphs that leave what they compute as it is."""

from collections import Counter

import numpy as np
import onnx
from onnx import numpy_helper, shape_inference


def free_batch(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of `model`, exported for one picture, whose inputs and outputs have a free first dimension.

    Only the declared shapes change, so the graph must not have a batch of one written into its operations.
    Shapes between the ends are dropped, since they were stated for one picture.
    """
    freed = onnx.ModelProto()
    freed.CopyFrom(model)
    for value in [*freed.graph.input, *freed.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    del freed.graph.value_info[:]
    return freed


def resized(model: onnx.ModelProto, side: int) -> onnx.ModelProto:
    """Return a copy of `model`, which takes pictures `(N, C, H, W)`, declared for squares of `side` pixels.

    Only what is declared changes, so no size may be written into the graph's operations.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    for dimension in changed.graph.input[0].type.tensor_type.shape.dim[2:]:
        dimension.dim_value = side
    for value in changed.graph.output:
        value.type.tensor_type.ClearField("shape")
    del changed.graph.value_info[:]
    return changed


def multiply_before_clip(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of `model` with clip(x, low, high) * c as clip(x * c, low * c, high * c), for constants c > 0.

    OpenVINO takes clip(x + 3, 0, 6) * c for a hard sigmoid and computes with 1/6 wherever c is near that. A
    network whose c is 0.16663, which is 1/6 in 16 bits, then moves boxes by pixels; the other order it leaves alone.
    """
    swapped = onnx.ModelProto()
    swapped.CopyFrom(model)
    graph = swapped.graph
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
    return swapped


def _swap(
    graph: onnx.GraphProto, clip: onnx.NodeProto, product: onnx.NodeProto, factor: str, numbers: dict[str, np.ndarray]
) -> None:
    clipped, result = clip.output[0], product.output[0]
    bounds = [f"{result}_{name}" for name in ("low", "high")]
    product.input[:], product.output[:] = [clip.input[0], factor], [clipped]
    for name, scaled in zip(clip.input[1:], bounds):
        graph.initializer.append(numpy_helper.from_array(numbers[name] * numbers[factor], scaled))
    clip.input[:], clip.output[:] = [clipped, *bounds], [result]


def without_idle_reshapes(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of `model` without those Reshape nodes that give back the shape they get, batch dimension aside.

    tf2onnx leaves some of them, and which ones differs from one conversion to the next.
    """
    slim = shape_inference.infer_shapes(model)
    graph = slim.graph
    shapes = {
        value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
        for value in [*graph.input, *graph.value_info]
    }
    targets = {tensor.name: numpy_helper.to_array(tensor).tolist() for tensor in graph.initializer if tensor.dims}
    outputs = {value.name for value in graph.output}
    for node in [node for node in graph.node if node.op_type == "Reshape" and node.output[0] not in outputs]:
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
    """Return a copy of `model` whose nodes are ordered and whose inner tensors are named by the graph alone.

    tf2onnx orders equals at random and puts random parts into names, so that two conversions of one graph
    would differ in their bytes. The names of inputs and outputs stay; what leads to no output goes.
    """
    plain = onnx.ModelProto()
    plain.CopyFrom(model)
    graph = plain.graph
    nodes = _in_order(model.graph)
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


def _in_order(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Copies of the nodes that lead to the outputs, each after those that it reads from, depth first."""
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
