"""The probabilities, features and logits of trained classifiers from their ONNX files, without Keras."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx

from stages.core.errors import UserError
from stages.networks import classifier_head, runtime
from stages.networks.settings import InferenceSettings
from stages.scoring.novelty import NetworkOutputs
from stages.scoring.probabilities import normalised


class ClassifierOutputs(NamedTuple):
    """Of N photos the `probabilities` (N, C) float64, rows of sum 1, and the network's `inner` outputs."""

    probabilities: np.ndarray
    inner: NetworkOutputs


# Photos (N, H, W, 3) uint8 RGB, N > 0, to their outputs.
OutputsFn = Callable[[np.ndarray], ClassifierOutputs]


def load(path: Path, batch_size: int = 1) -> OutputsFn:
    """A trained model in the engine that suits the machine. Raises UserError unless it is one network of ours."""
    runtime.require_network(path)
    model = onnx.load(path)
    heads = classifier_head.find_heads(model)
    if len(heads) != 1:
        raise UserError(f"{path}: expected one network, found {len(heads)}; set train.folds to null, `dvc repro`")
    names = [model.graph.output[0].name, heads[0].pooled, heads[0].logits]
    network = runtime.load(path, names, InferenceSettings(batch_size=batch_size, engine="auto", precision="f32"))

    def outputs(photos: np.ndarray) -> ClassifierOutputs:
        probabilities, features, logits = (np.stack(rows) for rows in network(photos))
        return ClassifierOutputs(normalised(probabilities), NetworkOutputs(features, logits))

    return outputs
