"""A trained model as ONNX, from which photos are predicted without TensorFlow."""

from pathlib import Path

import onnx

from stages.classifiers import keras_to_onnx
from stages.classifiers.engine import keras
from stages.core import atomic
from stages.networks import onnx_graph


def save(model: keras.Model, path: Path) -> None:
    """Write a classifier to `path`; the same weights give the same bytes."""
    graph = onnx_graph.remove_noop_reshapes(onnx_graph.free_batch(keras_to_onnx.convert(model)))
    plain = onnx_graph.canonical(graph)
    plain.graph.doc_string = ""  # names a function of TensorFlow with a number that counts all functions of the process
    with atomic.replacing(path) as temporary:
        onnx.save(plain, temporary)
