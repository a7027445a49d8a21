"""Conversion of a trained Keras model to an ONNX graph, which runs without TensorFlow."""

from typing import Any

import numpy as np
import onnx
import tf2onnx

from stages.classifiers.engine import keras, tf

_OPSET = 17


def convert(model: keras.Model) -> onnx.ModelProto:
    """Convert a classifier that takes photos (N, H, W, 3) RGB uint8; its input and its one output stay alike.

    The batch stays free. On the EfficientNet-Lite networks probabilities agree to 2e-6.
    """
    plain = keras.models.clone_model(model, clone_function=_exportable, recursive=True)

    @tf.autograph.experimental.do_not_convert
    def predict(photo: tf.Tensor) -> tf.Tensor:
        return plain(photo, training=False)

    signature = [tf.TensorSpec([None, *model.input_shape[1:]], tf.uint8, name="photo")]
    proto, _ = tf2onnx.convert.from_function(
        tf.function(predict, input_signature=signature), input_signature=signature, opset=_OPSET
    )
    return proto


class _Shrink(keras.Layer):
    """What a smooth `Resizing` of pictures (N, H, W, C) does, by its matrices (h, H) and (w, W): shrinking is linear.

    tf2onnx makes an operation of `Resizing` that no engine knows.
    """

    def __init__(self, rows: np.ndarray, columns: np.ndarray) -> None:
        super().__init__()
        self.rows, self.columns = rows, columns

    def call(self, pictures: Any) -> Any:
        # Plain products of matrices: of an einsum tf2onnx makes other reshapes from one conversion to the next.
        shrunk = tf.matmul(tf.matmul(self.rows, tf.transpose(pictures, [0, 3, 1, 2])), self.columns.T)
        return tf.transpose(shrunk, [0, 2, 3, 1])


class _Normalize(keras.Layer):
    """What `Normalization` does to features in the last axis: its mean and variance are no constants of a graph."""

    def __init__(self, original: keras.layers.Normalization) -> None:
        super().__init__()
        self.mean, variance = np.asarray(original.mean), np.asarray(original.variance)
        self.deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())

    def call(self, x: Any) -> Any:
        return (x - self.mean) / self.deviation


class _Gelu(keras.Layer):
    """The exact GELU by `erf`: tf2onnx knows no `erfc`, which TensorFlow takes."""

    def call(self, x: Any) -> Any:
        return 0.5 * x * (1 + tf.math.erf(x / np.float32(np.sqrt(2))))


class _GroupedConv(keras.Layer):
    """What `Conv2D` with a group for each channel does; Keras compiles it by itself, and tf2onnx cannot look inside."""

    def __init__(self, original: keras.layers.Conv2D) -> None:
        super().__init__()
        self.original = original

    def call(self, x: Any) -> Any:
        layer = self.original
        kernel = tf.transpose(layer.kernel, [0, 1, 3, 2])
        y = tf.nn.depthwise_conv2d(
            x, kernel, [1, *layer.strides, 1], layer.padding.upper(), dilations=layer.dilation_rate
        )
        return layer.activation(y if layer.bias is None else y + layer.bias)


def _exportable(layer: keras.Layer) -> keras.Layer:
    """A layer of the same outputs that tf2onnx can convert: mostly the layer itself, with its weights."""
    if isinstance(layer, keras.layers.Resizing):
        return _Shrink(*_matrices(layer))
    if isinstance(layer, keras.layers.Normalization):
        return _Normalize(layer)
    if isinstance(layer, keras.layers.Activation) and layer.activation is keras.activations.gelu:
        return _Gelu()
    is_grouped = isinstance(layer, keras.layers.Conv2D) and layer.groups > 1
    return _GroupedConv(layer) if is_grouped and layer.groups == layer.filters else layer


def _matrices(layer: keras.layers.Resizing) -> tuple[np.ndarray, np.ndarray]:
    """Column i tells where row i (column i) of a picture goes: pictures that are white there alone, resized."""
    height, width = layer.input.shape[1:3]
    rows = np.eye(height, dtype=np.float32)[:, :, None, None] * np.ones((1, 1, width, 1), np.float32)
    columns = np.eye(width, dtype=np.float32)[:, None, :, None] * np.ones((1, height, 1, 1), np.float32)
    return np.asarray(layer(rows))[:, :, 0, 0].T, np.asarray(layer(columns))[:, 0, :, 0].T
