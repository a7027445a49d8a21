"""Find the head of a classifier in its ONNX graph: the tensors between the feature map and the probabilities."""

from typing import NamedTuple

import numpy as np
import onnx
from onnx import numpy_helper

from stages.core.errors import UserError

_POOLING = ("GlobalAveragePool", "ReduceMean", "GlobalMaxPool", "ReduceMax")
# The axes of a batch of feature maps that may be those of the features.
_FIRST, _LAST = 1, 3


class Dense(NamedTuple):
    """`x @ kernel + bias`, kernel `(D, K)` and bias `(K,)` float32."""

    kernel: np.ndarray
    bias: np.ndarray


class Head(NamedTuple):
    """The head of one network: names of tensors, and its weights.

    `feature_map` `(N, D, h, w)`, or `(N, h, w, D)` if `is_channels_last`, is pooled into `pooled`, of which `logits`
    `(N, C)` are made by `classes`, with an `embedding` and a rectifier before it or None. `pooling` names what is
    joined, `average`, `max` or both in order.
    """

    feature_map: str
    pooled: str
    logits: str
    pooling: tuple[str, ...]
    embedding: Dense | None
    classes: Dense
    is_channels_last: bool


class HeadError(UserError):
    """The graph does not end as the classifiers of this project do."""


def find_heads(model: onnx.ModelProto) -> list[Head]:
    """The heads of the networks of a classifier, one for each that was bagged, in the order of the graph.

    Raises HeadError for a graph without a softmax of dense layers on a pooled feature map.
    """
    graph = _Graph(model.graph)
    heads = [_head(graph, node) for node in model.graph.node if node.op_type == "Softmax"]
    if not heads:
        raise HeadError(_problem("no softmax"))
    return heads


def _head(graph: "_Graph", softmax: onnx.NodeProto) -> Head:
    logits = softmax.input[0]
    classes, source = graph.dense(logits)
    embedding = None
    if graph.operator(source) == "Relu":
        embedding, source = graph.dense(graph.producers[source].input[0])
    joined = graph.producers.get(graph.before(source, ("Squeeze", "Reshape", "Flatten")))
    parts = list(joined.input) if joined is not None and joined.op_type == "Concat" else [source]
    nodes = [graph.producers.get(graph.before(part, ("Squeeze", "Reshape", "Flatten"))) for part in parts]
    pools = [node for node in nodes if node is not None and node.op_type in _POOLING]
    maps = {graph.pooled_map(node) for node in pools}
    if len(pools) != len(parts) or len(maps) != 1:
        raise HeadError(_problem(f"{graph.operator(source)} before the dense layers"))
    pooling = tuple("max" if "Max" in node.op_type else "average" for node in pools)
    feature_map, channel_axis = maps.pop()
    return Head(feature_map, source, logits, pooling, embedding, classes, channel_axis == _LAST)


class _Graph:
    """What makes each tensor of a graph."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self.producers = {name: node for node in graph.node for name in node.output}
        self.weights = {tensor.name: tensor for tensor in graph.initializer}

    def operator(self, name: str) -> str:
        """The operator that makes a tensor; `input` for one that none makes."""
        return str(self.producers[name].op_type) if name in self.producers else "input"

    def before(self, name: str, operators: tuple[str, ...]) -> str:
        """The tensor before a chain of these operators."""
        while self.operator(name) in operators:
            name = self.producers[name].input[0]
        return name

    def pooled_map(self, pool: onnx.NodeProto) -> tuple[str, int]:
        """What is pooled, as it was before transpositions, and the axis of its features. tf2onnx leaves some of these.

        `ReduceMean` names the axes of places: features come last in it, or second. A global pool has them second.
        """
        name, axis = pool.input[0], _LAST if 1 in self._axes(pool) else _FIRST
        while self.operator(name) == "Transpose":
            node = self.producers[name]
            name, axis = node.input[0], _attribute(node, "perm")[axis]
        return name, axis

    def _axes(self, pool: onnx.NodeProto) -> list[int]:
        """The axes that a pool reduces; an input names them from opset 18 on."""
        if pool.op_type.startswith("Global"):
            return [2, 3]
        named = [numpy_helper.to_array(self.weights[name]).tolist() for name in pool.input[1:] if name in self.weights]
        return [axis % 4 for axis in (named[0] if named else _attribute(pool, "axes"))]

    def dense(self, name: str) -> tuple[Dense, str]:
        """The dense layer that makes a tensor, and its input. tf2onnx leaves out a bias of zeros."""
        bias = None
        if self.operator(name) == "Add":
            bias, name = self._split(name)
        if self.operator(name) != "MatMul":
            raise HeadError(_problem(f"{self.operator(name)} in place of a dense layer"))
        kernel, source = self._split(name)
        return Dense(kernel, np.zeros(kernel.shape[1], kernel.dtype) if bias is None else bias), source

    def _split(self, name: str) -> tuple[np.ndarray, str]:
        """The weights and the other input of the operator that makes a tensor."""
        node = self.producers[name]
        weights = [one for one in node.input if one in self.weights]
        others = [one for one in node.input if one not in self.weights]
        if len(weights) != 1 or len(others) != 1:
            raise HeadError(_problem(f"{node.op_type} of {len(weights)} weights"))
        return numpy_helper.to_array(self.weights[weights[0]]), others[0]


def _attribute(node: onnx.NodeProto, name: str) -> list[int]:
    return next((list(one.ints) for one in node.attribute if one.name == name), [])


def _problem(found: str) -> str:
    return f"expected a classifier that ends in pooling, dense layers and a softmax, found {found}; train it again"
