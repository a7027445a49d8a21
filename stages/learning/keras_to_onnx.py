"""A trained Keras model as an ONNX graph, which answers without TensorFlow."""

from typing import Any

import numpy as np
import onnx
import tf2onnx

from stages.learning.engine import keras, tf

_OPSET = 17


def convert(model: keras.Model) -> onnx.ModelProto:
    """Convert a classifier that takes photos (N, side, side, 3) RGB uint8; its input and its one output stay alike.

    The batch stays free. On the EfficientNet-Lite networks probabilities agree to 2e-6.
    """
    plain = keras.models.clone_model(model, clone_function=_exportable)

    @tf.autograph.experimental.do_not_convert
    def answer(photo: tf.Tensor) -> tf.Tensor:
        return plain(photo, training=False)

    signature = [tf.TensorSpec([None, *model.input_shape[1:]], tf.uint8, name="photo")]
    proto, _ = tf2onnx.convert.from_function(
        tf.function(answer, input_signature=signature), input_signature=signature, opset=_OPSET
    )
    return proto


class _Shrink(keras.Layer):
    """What a smooth `Resizing` of square pictures (N, S, S, C) does, by its matrix (s, S): shrinking is linear.

    tf2onnx makes an operation of `Resizing` that no engine knows.
    """

    def __init__(self, matrix: np.ndarray) -> None:
        super().__init__()
        self.matrix = matrix

    def call(self, pictures: Any) -> Any:
        return tf.einsum("ah,nhwc,bw->nabc", self.matrix, pictures, self.matrix)


def _exportable(layer: keras.Layer) -> keras.Layer:
    return _Shrink(_matrix(layer)) if isinstance(layer, keras.layers.Resizing) else layer


def _matrix(layer: keras.layers.Resizing) -> np.ndarray:
    """Column i tells where row i of a picture goes: pictures that are white in one row alone, resized."""
    side = layer.input.shape[1]
    rows = np.eye(side, dtype=np.float32)[:, :, None, None] * np.ones((1, 1, side, 1), np.float32)
    return np.asarray(layer(rows))[:, :, 0, 0].T
