"""EfficientNet-Lite as a Keras graph: EfficientNet (Tan & Le 2019, arXiv:1905.11946, table 1) without squeeze
and excitation, with ReLU6 in place of Swish, and with a stem, a head and outer blocks that do not scale.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from stages.classifiers.engine import keras
from stages.classifiers.errors import WeightsError

layers = keras.layers


@dataclass(frozen=True)
class Scale:
    """How one member of the family differs from the smallest: more channels, more blocks, larger input."""

    width: float
    depth: float
    size_px: int


class _Group(NamedTuple):
    """A row of blocks; all but the first have stride one and keep their channels."""

    n_blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


SCALES = {
    "efficientnet_lite0": Scale(1.0, 1.0, 224),
    "efficientnet_lite1": Scale(1.0, 1.1, 240),
    "efficientnet_lite2": Scale(1.1, 1.2, 260),
}
_GROUPS = (
    _Group(1, 3, 1, 1, 16),
    _Group(2, 3, 2, 6, 24),
    _Group(2, 5, 2, 6, 40),
    _Group(3, 3, 2, 6, 80),
    _Group(3, 5, 1, 6, 112),
    _Group(4, 5, 2, 6, 192),
    _Group(1, 3, 1, 6, 320),
)
_STEM_CHANNELS, _HEAD_CHANNELS = 32, 1280
_BN_PARTS = ("weight", "bias", "running_mean", "running_var")
# Of the 1000-class ImageNet head, and the step counters of batch normalisation: no part of a feature
# extractor.
_NOT_FEATURES = ("_fc.weight", "_fc.bias")
_COUNTER = ".num_batches_tracked"


def features(image: Any, scale: Scale) -> Any:
    """Map a normalised image tensor (N, H, W, 3), RGB in about -1..1, to a feature map (N, h, w, 1280).

    Layers are named after the tensors that `load` puts into them.
    """
    x = _convolve(image, _STEM_CHANNELS, "_conv_stem", "_bn0", stride=2)
    number = 0
    for position, group in enumerate(_GROUPS):
        is_outer = position in (0, len(_GROUPS) - 1)
        n_blocks = group.n_blocks if is_outer else math.ceil(group.n_blocks * scale.depth)
        for repeat in range(n_blocks):
            block = group._replace(
                stride=group.stride if repeat == 0 else 1, channels=_scaled(group.channels, scale.width)
            )
            x = _inverted_bottleneck(x, block, f"_blocks.{number}.")
            number += 1
    return _convolve(x, _HEAD_CHANNELS, "_conv_head", "_bn1", kernel=1)


def load(model: keras.Model, tensors: Mapping[str, np.ndarray]) -> None:
    """Put the tensors of a PyTorch state dict into the layers of `features`, each exactly once.

    Raises WeightsError when a tensor is missing, left over, or of another shape.
    """
    left = {name for name in tensors if name not in _NOT_FEATURES and not name.endswith(_COUNTER)}
    for layer in model.layers:
        if layer.name.startswith("_"):
            names = _tensor_names(layer)
            values = [_to_keras(layer, _tensor(tensors, name)) for name in names]
            _require_shapes(names, values, layer)
            layer.set_weights(values)
            left -= set(names)
    if left:
        raise WeightsError(f"expected a place for every tensor, found none for {', '.join(sorted(left)[:3])}")


def _scaled(channels: int, width: float) -> int:
    """Round to a multiple of eight, never down by more than a tenth (the paper's reference rule)."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def _inverted_bottleneck(x: Any, block: _Group, prefix: str) -> Any:
    inputs, channels = x, x.shape[-1]
    if block.expansion != 1:
        x = _convolve(x, channels * block.expansion, f"{prefix}_expand_conv", f"{prefix}_bn0", kernel=1)
    depthwise = layers.DepthwiseConv2D(
        block.kernel, block.stride, "same", use_bias=False, name=f"{prefix}_depthwise_conv"
    )
    x = _activate(_normalise(depthwise(x), f"{prefix}_bn1"), f"{prefix}_depthwise_conv")
    project = layers.Conv2D(block.channels, 1, use_bias=False, name=f"{prefix}_project_conv")
    x = _normalise(project(x), f"{prefix}_bn2")
    if block.stride == 1 and block.channels == channels:
        x = layers.Add(name=f"add{prefix}")([x, inputs])
    return x


def _convolve(x: Any, channels: int, name: str, bn: str, kernel: int = 3, stride: int = 1) -> Any:
    x = layers.Conv2D(channels, kernel, stride, "same", use_bias=False, name=name)(x)
    return _activate(_normalise(x, bn), name)


def _normalise(x: Any, name: str) -> Any:
    return layers.BatchNormalization(epsilon=1e-3, name=name)(x)


def _activate(x: Any, name: str) -> Any:
    return layers.ReLU(6.0, name=f"relu6{name}")(x)


def _tensor_names(layer: keras.Layer) -> list[str]:
    if isinstance(layer, layers.BatchNormalization):
        return [f"{layer.name}.{part}" for part in _BN_PARTS]
    return [f"{layer.name}.weight"]


def _tensor(tensors: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    if name not in tensors:
        raise WeightsError(f"expected a tensor `{name}`, found none; the file belongs to another network")
    return tensors[name]


def _to_keras(layer: keras.Layer, tensor: np.ndarray) -> np.ndarray:
    """Turn (out, in, h, w) into (h, w, in, out), and for depthwise kernels (c, 1, h, w) into (h, w, c, 1)."""
    if isinstance(layer, layers.DepthwiseConv2D):
        return tensor.transpose(2, 3, 0, 1)
    return tensor.transpose(2, 3, 1, 0) if tensor.ndim == 4 else tensor


def _require_shapes(names: list[str], values: list[np.ndarray], layer: keras.Layer) -> None:
    for name, value, variable in zip(names, values, layer.weights):
        if value.shape != tuple(variable.shape):
            raise WeightsError(f"expected `{name}` as {tuple(variable.shape)}, found {value.shape}")
