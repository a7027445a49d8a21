"""The statistics of batch normalisation, worked out anew on the photos that a network will meet.

Running averages of a training tell of varied photos and of weights that have moved on since; with a dozen steps an
epoch they also lag far behind. Both make a network worse where it is used than where it was trained (Touvron et al.
2019, arXiv:1906.06423, section 3.2; Wu & Johnson 2021, arXiv:2105.07576, section 3).
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from stages.classifiers.engine import keras, tf


def forward(model: keras.Model) -> Callable[[Any], Any]:
    """Return what shows a batch to `model` as training does, for `reestimate`; it is compiled once, so keep it."""
    return tf.function(lambda photos: model(photos, training=True))


def normalisers(model: keras.Model) -> list[keras.layers.BatchNormalization]:
    """Return the layers of `model` that normalise by their own batch while they train."""
    found = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    return [layer for layer in found if layer.trainable]


def recalibrate(model: keras.Model, show: Callable[[Any], Any], batches: Iterable[np.ndarray]) -> None:
    """Set mean and variance of every trainable batch normalisation to those of all `batches`, of one shape.

    `show` is the `forward` of `model`. `batches` (B, H, W, 3) RGB uint8 hold photos alone, none that fill up; without
    a batch nothing changes.
    """
    layers = normalisers(model)
    momenta = [layer.momentum for layer in layers]
    moments = []
    try:
        for layer in layers:
            # The running averages then are the statistics of the last batch.
            layer.momentum = 0.0
        for photos in batches:
            show(photos)
            moments.append([_moments(layer) for layer in layers])
    finally:
        for layer, momentum in zip(layers, momenta):
            layer.momentum = momentum
    for layer, of_batches in zip(layers, zip(*moments)):
        mean, square = (np.mean(parts, axis=0) for parts in zip(*of_batches))
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(square - mean**2)


def _moments(layer: Any) -> tuple[np.ndarray, np.ndarray]:
    """The mean (D,) and the mean square (D,) of the last batch, float64."""
    mean, variance = (np.asarray(part, np.float64) for part in (layer.moving_mean, layer.moving_variance))
    return mean, variance + mean**2
