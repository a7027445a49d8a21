"""The probabilities, features and logits of trained classifiers from their ONNX files, without Keras."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx

from stages.classifiers.onnx_classifier import INFERENCE
from stages.core.errors import UserError
from stages.networks import classifier_head, runtime
from stages.scoring.network_outputs import NetworkOutputs
from stages.scoring.probabilities import normalised


class ClassifierOutputs(NamedTuple):
    """Of N photos the `probabilities` (N, C) float64, rows of sum 1, and the network's `inner` outputs."""

    probabilities: np.ndarray
    inner: NetworkOutputs


# N > 0 photos, each (H, W, 3) uint8 RGB, to their outputs.
OutputsFn = Callable[[Iterable[np.ndarray]], ClassifierOutputs]


def load(path: Path) -> OutputsFn:
    """A trained model in the engine that suits the machine. Raises UserError unless it is one network of ours."""
    runtime.require_network(path)
    model = onnx.load(path)
    heads = classifier_head.find_heads(model)
    if len(heads) != 1:
        raise UserError(f"{path}: expected one network, found {len(heads)}; set train.folds to null, `dvc repro`")
    names = [model.graph.output[0].name, heads[0].pooled, heads[0].logits]
    network = runtime.load(path, names, INFERENCE)

    def outputs(photos: Iterable[np.ndarray]) -> ClassifierOutputs:
        probabilities, features, logits = (np.stack(rows) for rows in zip(*network(photos)))
        return ClassifierOutputs(normalised(probabilities), NetworkOutputs(features, logits))

    return outputs
