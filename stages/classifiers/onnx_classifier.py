"""Trained classifiers from their ONNX files, without Keras: photos to probabilities."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stages.core.errors import UserError
from stages.networks import runtime
from stages.networks.settings import InferenceSettings
from stages.scoring.probabilities import normalised

if TYPE_CHECKING:
    import onnx

# N > 0 photos, each (H, W, 3) uint8 RGB, to their probabilities (N, C) float64, rows of sum 1. The photos may be an
# array, or still be read.
ClassifyFn = Callable[[Iterable[np.ndarray]], np.ndarray]

INFERENCE = InferenceSettings(batch_size=16, engine="auto", precision="f32")


class TrainedClassifier(NamedTuple):
    """A classifier for photos of `size_hw`, and the networks that it averages: with `train.folds` one for each fold."""

    classify: ClassifyFn
    members: list[ClassifyFn]
    size_hw: tuple[int, int]
    n_classes: int


def load(path: Path, size_hw: tuple[int, int] | None = None) -> ClassifyFn:
    """The classifier in the engine that suits the machine; threads do not change its outputs.

    With the `size_hw` of photos, it is made ready for them in the background.
    """
    return _classify(path, [], size_hw)


def load_trained(path: Path, n_classes: int) -> TrainedClassifier:
    """The classifier and its members. Raises UserError if there is none, or if it has another number of classes."""
    if not path.is_file():
        raise UserError(f"{path}: expected a trained model, found none; run `dvc repro train`")

    from stages.networks import onnx_graph

    graph = onnx_graph.require_whole(path).graph
    _, height, width, _ = _dims(graph.input[0])
    _, found = _dims(graph.output[0])
    if found != n_classes:
        raise UserError(f"{path}: expected {n_classes} classes, found {found}; run `dvc repro train`")
    heads = [node.output[0] for node in graph.node if node.op_type == "Softmax"]
    size_hw = height, width
    whole = _classify(path, [], size_hw)
    members = [_classify(path, [head], size_hw) for head in heads] if len(heads) > 1 else [whole]
    return TrainedClassifier(whole, members, size_hw, n_classes)


def _classify(path: Path, outputs: list[str], size_hw: tuple[int, int] | None) -> ClassifyFn:
    expected = None if size_hw is None else np.empty((*size_hw, 3), np.uint8)
    network = runtime.load(path, outputs, INFERENCE, expected=expected)
    return lambda photos: normalised(np.stack([probabilities for (probabilities,) in network(photos)]))


def _dims(value: "onnx.ValueInfoProto") -> list[int]:
    """The sizes of a tensor; 0 for one that is free."""
    return [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
