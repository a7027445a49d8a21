"""Recalibration of batch normalisation: its statistics, computed again on images without augmentation.

The moving averages of a training describe augmented images and earlier weights, and with a dozen steps per epoch they
lag far behind. Both cost accuracy at inference (Touvron et al. 2019, arXiv:1906.06423, section 3.2; Wu & Johnson 2021,
arXiv:2105.07576, section 3).
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from stages.classifiers.engine import keras, tf


def compiled_forward(model: keras.Model) -> Callable[[Any], Any]:
    """Return the forward pass of `model` in training mode, for `recalibrate`; keep it, since it compiles once."""
    return tf.function(lambda images: model(images, training=True))


def trainable_batch_norms(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Return the layers of `model` that normalise by the statistics of the batch in training."""
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    return [layer for layer in layers if layer.trainable]


def recalibrate(model: keras.Model, forward: Callable[[Any], Any], batches: Iterable[np.ndarray]) -> None:
    """Set mean and variance of every trainable batch normalisation to those over all `batches`.

    `forward` is the `compiled_forward` of `model`. `batches` (B, H, W, 3) RGB uint8 have one shape and no padding.
    Without a batch nothing changes.
    """
    layers = trainable_batch_norms(model)
    momenta = [layer.momentum for layer in layers]
    moments = []
    try:
        for layer in layers:
            layer.momentum = 0.0  # the moving averages become the statistics of the last batch
        for images in batches:
            forward(images)
            moments.append([_batch_moments(layer) for layer in layers])
    finally:
        for layer, momentum in zip(layers, momenta):
            layer.momentum = momentum
    for layer, layer_moments in zip(layers, zip(*moments)):
        mean, mean_square = (np.mean(values, axis=0) for values in zip(*layer_moments))
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(mean_square - mean**2)


def _batch_moments(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean (D,) and the mean square (D,) of the last batch, float64."""
    mean, variance = (np.asarray(value, np.float64) for value in (layer.moving_mean, layer.moving_variance))
    return mean, variance + mean**2
