"""The same network in fewer passes over memory, for CPUs: batch normalisation folded into convolutions.

Where its statistics are fixed, a batch normalisation is a factor and an offset for each channel. As a layer it costs
two passes over the feature map, and in training a third; as a factor of the kernel none (Jacob et al. 2018,
arXiv:1712.05877, section 3.2), and TensorFlow then computes convolution, offset and activation in one operation.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from stages.classifiers.engine import keras, tf

layers = keras.layers

# The widest kernel whose gradient oneDNN 3.7, in TensorFlow 2.21, computes as a depthwise convolution's. For wider ones
# it takes grouped convolutions, and computes 16 x 16 channels for 16.
_MAX_WIDTH = 3
# Of images (N, H, W, C) and a kernel, with a stride and `SAME` or `VALID`.
Convolve = Callable[[Any, Any, int, str], Any]


class _Convolutions(NamedTuple):
    """How convolutions by kernels (h, w, C, K), and depthwise ones by (h, w, C, 1), are computed."""

    full: Convolve
    depthwise: Convolve


def for_inference(model: keras.Model) -> keras.Model:
    """A model of the same outputs and the same variables as `model`, to predict with; see the module."""
    return _folded(model, lambda _: True, _Convolutions(_convolution, _depthwise))


def for_training(model: keras.Model) -> keras.Model:
    """A model of the same outputs and the same variables as `model`, to train with.

    `model` is not compiled yet. Folded are the batch normalisations that are not trainable: these use their statistics.
    """
    convolutions = _Convolutions(convolution, depthwise_convolution)
    return _folded(model, lambda batch_norm: not batch_norm.trainable, convolutions)


def _folded(model: keras.Model, is_fixed: Callable[[keras.Layer], bool], compute: _Convolutions) -> keras.Model:
    if tf.config.list_physical_devices("GPU"):  # which has kernels of its own
        return model
    # By the id of its output: the output, which keeps that id, the convolution and its input.
    convolutions: dict[int, tuple[Any, keras.Layer, Any]] = {}

    def call(layer: keras.Layer, *args: Any, **kwargs: Any) -> Any:
        if _is_plain(layer):
            output = _Convolution(compute, layer)(args[0])
            convolutions[id(output)] = output, layer, args[0]
            return output
        if isinstance(layer, layers.BatchNormalization) and is_fixed(layer) and id(args[0]) in convolutions:
            _, before, image = convolutions[id(args[0])]
            return _Convolution(compute, before, layer)(image)
        return layer(*args, **kwargs)

    return keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=call)


def _is_plain(layer: keras.Layer) -> bool:
    """Whether a layer is a convolution that `_Convolution` knows."""
    return (
        type(layer) in (layers.Conv2D, layers.DepthwiseConv2D)
        and layer.compute_dtype == "float32"
        and layer.data_format == "channels_last"
        and layer.activation is keras.activations.linear
        and layer.padding in ("same", "valid")
        and set(layer.dilation_rate) == {1}
        and len(set(layer.strides)) == 1
        and getattr(layer, "groups", 1) == 1
        and getattr(layer, "depth_multiplier", 1) == 1
    )


class _Convolution(keras.Layer):
    """A convolution, and the batch normalisation after it if one is given, by the variables of these layers."""

    def __init__(self, compute: _Convolutions, plain: keras.Layer, batch_norm: keras.Layer | None = None) -> None:
        super().__init__(name=f"{plain.name}_{'folded' if batch_norm else 'alone'}")
        self.compute, self.plain, self.batch_norm = compute, plain, batch_norm

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> Any:
        return self.plain.compute_output_shape(input_shape)

    def call(self, x: Any) -> Any:
        layer = self.plain
        is_depthwise = isinstance(layer, layers.DepthwiseConv2D)
        kernel, offset = tf.convert_to_tensor(layer.kernel), layer.bias
        if self.batch_norm is not None:
            factor, shift = _factor_and_shift(self.batch_norm)
            kernel = kernel * (factor[:, None] if is_depthwise else factor)
            offset = shift if offset is None else offset * factor + shift
        convolve = self.compute.depthwise if is_depthwise else self.compute.full
        y = convolve(x, kernel, layer.strides[0], layer.padding.upper())
        return y if offset is None else tf.nn.bias_add(y, offset)


def _factor_and_shift(layer: keras.Layer) -> tuple[Any, Any]:
    """What a batch normalisation with fixed statistics multiplies each channel with, and then adds, `(C,)` each."""
    factor = tf.math.rsqrt(tf.convert_to_tensor(layer.moving_variance) + layer.epsilon)
    if layer.gamma is not None:
        factor *= layer.gamma
    shift = -layer.moving_mean * factor
    return factor, shift if layer.beta is None else shift + layer.beta


def _convolution(x: Any, kernel: Any, stride: int, padding: str) -> Any:
    return tf.nn.conv2d(x, kernel, stride, padding)


def convolution(x: Any, kernel: Any, stride: int, padding: str) -> Any:
    """The convolution of `x` (N, H, W, C) by `kernel` (h, w, C, K), with a quick gradient of 1x1 kernels.

    `padding` is `SAME` or `VALID`. See `depthwise_convolution` for what may use it.
    """
    if stride > 1 or tuple(kernel.shape[:2]) != (1, 1):
        return _convolution(x, kernel, stride, padding)

    @tf.custom_gradient
    def convolve(x: Any, kernel: Any) -> Any:
        def gradients(upstream: Any) -> tuple[Any, Any]:
            of_x = tf.nn.conv2d_transpose(upstream, kernel, tf.shape(x), 1, padding)
            # One product of matrices: the order of the weights is that of TensorFlow, and none is copied.
            rows = [tf.reshape(values, [-1, values.shape[-1]]) for values in (x, upstream)]
            return of_x, tf.linalg.matmul(*rows, transpose_a=True)[None, None]

        return _convolution(x, kernel, stride, padding), gradients

    return convolve(x, kernel)


def _depthwise(x: Any, kernel: Any, stride: int, padding: str) -> Any:
    return tf.raw_ops.DepthwiseConv2dNative(input=x, filter=kernel, strides=[1, stride, stride, 1], padding=padding)


def depthwise_convolution(x: Any, kernel: Any, stride: int, padding: str) -> Any:
    """The depthwise convolution of `x` (N, H, W, C) by `kernel` (h, w, C, 1), with a quick gradient of the kernel.

    `padding` is `SAME` or `VALID`. TensorFlow keeps the gradient, and the graph with it, until the process ends: only
    what trains needs it.
    """

    @tf.custom_gradient
    def convolve(x: Any, kernel: Any) -> Any:
        def gradients(upstream: Any) -> tuple[Any, Any]:
            of_x = tf.raw_ops.DepthwiseConv2dNativeBackpropInput(
                input_sizes=tf.shape(x),
                filter=kernel,
                out_backprop=upstream,
                strides=[1, stride, stride, 1],
                padding=padding,
            )
            return of_x, _kernel_gradient(x, upstream, kernel.shape[:2], stride, padding)

        return _depthwise(x, kernel, stride, padding), gradients

    return convolve(x, kernel)


def _kernel_gradient(x: Any, upstream: Any, size_hw: tuple[int, int], stride: int, padding: str) -> Any:
    """The gradient (h, w, C, 1) of a depthwise kernel of `size_hw`, put together from those of narrow kernels.

    Columns a to b of a kernel see the image without its first a columns.
    """
    height, width = size_hw
    columns = upstream.shape[2]
    if padding == "SAME" and width > _MAX_WIDTH:
        around = [_same_padding(*one) for one in ((x.shape[1], height, stride), (x.shape[2], width, stride))]
        x, padding = tf.pad(x, [(0, 0), *around, (0, 0)]), "VALID"
    parts = []
    for first in range(0, width, _MAX_WIDTH):
        n_columns = min(_MAX_WIDTH, width - first)
        window = x if width <= _MAX_WIDTH else x[:, :, first : first + (columns - 1) * stride + n_columns]
        parts.append(
            tf.raw_ops.DepthwiseConv2dNativeBackpropFilter(
                input=window,
                filter_sizes=[height, n_columns, x.shape[3], 1],
                out_backprop=upstream,
                strides=[1, stride, stride, 1],
                padding=padding,
            )
        )
    return tf.concat(parts, axis=1) if len(parts) > 1 else parts[0]


def _same_padding(side: int, kernel: int, stride: int) -> tuple[int, int]:
    """What `SAME` adds before and after a side."""
    missing = max((-(-side // stride) - 1) * stride + kernel - side, 0)
    return missing // 2, missing - missing // 2
