"""A trained Keras model as an ONNX graph, which answers without TensorFlow."""

import onnx
import tf2onnx

from stages.learning.engine import keras, tf

_OPSET = 17


def convert(model: keras.Model) -> onnx.ModelProto:
    """Convert a classifier that takes photos (N, side, side, 3) RGB uint8; its input and its one output stay alike.

    The batch stays free. On the EfficientNet-Lite networks probabilities agree to 2e-6.
    """

    @tf.autograph.experimental.do_not_convert
    def answer(photo: tf.Tensor) -> tf.Tensor:
        return model(photo, training=False)

    signature = [tf.TensorSpec([None, *model.input_shape[1:]], tf.uint8, name="photo")]
    proto, _ = tf2onnx.convert.from_function(
        tf.function(answer, input_signature=signature), input_signature=signature, opset=_OPSET
    )
    return proto
