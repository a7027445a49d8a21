"""A trained model as ONNX, from which photos are predicted without TensorFlow."""

from pathlib import Path

import numpy as np
import onnx

from stages.classifiers import keras_to_onnx
from stages.classifiers.engine import keras
from stages.core import atomic
from stages.core.errors import UserError
from stages.networks import onnx_graph, runtime
from stages.networks.settings import InferenceSettings

# Of probabilities; of 16 bits on a card, too.
_TOLERANCE = 0.02


def save(model: keras.Model, path: Path) -> None:
    """Write a classifier to `path`; the same weights give the same bytes.

    Raises UserError where the graph does not run, or does not predict as the model does.
    """
    graph = onnx_graph.remove_noop_reshapes(onnx_graph.free_batch(keras_to_onnx.convert(model)))
    plain = onnx_graph.canonical(graph)
    plain.graph.doc_string = ""  # names a function of TensorFlow with a number that counts all functions of the process
    with atomic.replacing(path) as temporary:
        onnx.save(plain, temporary)
        problem = _difference(model, temporary, plain.graph.output[0].name)
        if problem:
            raise UserError(
                f"{path}: expected a graph that predicts as the Keras model does, found {problem}; this network cannot "
                "be exported: take another backbone"
            )


def _difference(model: keras.Model, path: Path, output: str) -> str:
    """How the file differs from the model on two pictures of noise: tf2onnx leaves in a graph what no engine knows."""
    photos = np.random.default_rng(0).integers(0, 256, (2, *model.input_shape[1:]), np.uint8)
    expected = np.asarray(model(photos, training=False))  # traced for two pictures it would take longer
    rule = InferenceSettings(batch_size=len(photos), engine="auto", precision="f32")
    try:
        predicted = np.stack([rows for (rows,) in runtime.load(path, [output], rule)(photos)])
    except (RuntimeError, ValueError) as error:
        return repr(str(error)[:300])
    difference = float(np.abs(predicted - expected).max())
    return "" if difference <= _TOLERANCE else f"a difference of {difference:.3f}"
