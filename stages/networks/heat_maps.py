"""Where a classifier looked: what each place of its feature map adds to the logit of a class.

For average pooling this is the class activation map (Zhou et al. 2016, arXiv:1512.04150, section 2); for all heads it
is the product of the feature map with the logit's gradient, summed over features: HiResCAM (Draelos & Carin 2020,
arXiv:2011.08891, section 3). The gradient is worked out from the weights of the head.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx

from stages.networks import classifier_head, runtime
from stages.networks.classifier_head import Head
from stages.networks.settings import InferenceSettings

# Images `(N, H, W, 3)` uint8 RGB, at least one, and the classes `(N,)` int64 to explain, to shares `(N, h, w)` as
# `positive_shares` has.
HeatMapFn = Callable[[np.ndarray, np.ndarray], np.ndarray]


def contributions(feature_map: np.ndarray, pooled: np.ndarray, head: Head, classes: np.ndarray) -> np.ndarray:
    """What each place adds to the logit of one class of each image, `(N, h, w)` float64.

    `feature_map` is `(N, D, h, w)`, `pooled` `(N, P)`, `classes` `(N,)`. The sum over the places is the logit less what
    does not depend on them: the bias of the classes, and of active features of an embedding. The share of a maximum is
    divided between the places that have it.
    """
    values = feature_map.astype(np.float64)
    parts = np.split(_gradient(pooled.astype(np.float64), head, classes), len(head.pooling), axis=1)
    total = np.zeros((len(values), *values.shape[2:]))
    for kind, gradient in zip(head.pooling, parts):
        if kind == "average":
            total += np.einsum("nd,ndhw->nhw", gradient, values) / np.prod(values.shape[2:])
        else:
            is_max = values == values.max(axis=(2, 3), keepdims=True)
            total += np.einsum("nd,ndhw->nhw", gradient / is_max.sum(axis=(2, 3)), values * is_max)
    return total


def _gradient(pooled: np.ndarray, head: Head, classes: np.ndarray) -> np.ndarray:
    """The gradient `(N, P)` of the logits of `classes` `(N,)` with respect to `pooled` `(N, P)`."""
    gradient = head.classes.kernel.T[classes].astype(np.float64)
    if head.embedding is None:
        return gradient
    is_active = pooled @ head.embedding.kernel + head.embedding.bias > 0
    return np.asarray((gradient * is_active) @ head.embedding.kernel.T)


def positive_shares(maps: np.ndarray) -> np.ndarray:
    """The positive part of maps `(N, h, w)`, each divided by its sum; zeros where a map has none."""
    positive = np.maximum(maps, 0)
    totals = positive.sum(axis=(1, 2), keepdims=True)
    return np.divide(positive, totals, out=np.zeros_like(positive), where=totals > 0)


def load(path: Path, settings: InferenceSettings) -> HeatMapFn:
    """A function that explains the classifier in the ONNX file at `path`; of bagged networks it takes the mean.

    Raises UserError as `runtime.load` does, HeadError for a network that does not end as classifiers here do.
    """
    runtime.require_network(path)
    heads = classifier_head.find_heads(onnx.load(path))
    network = runtime.load(path, [name for head in heads for name in (head.feature_map, head.pooled)], settings)

    def explain(images: np.ndarray, classes: np.ndarray) -> np.ndarray:
        outputs = [np.stack(rows) for rows in zip(*network(images))]
        maps = [
            positive_shares(contributions(channels_first(feature_map, head), pooled, head, classes))
            for head, feature_map, pooled in zip(heads, outputs[::2], outputs[1::2])
        ]
        return np.asarray(np.mean(maps, axis=0))

    return explain


def channels_first(feature_map: np.ndarray, head: Head) -> np.ndarray:
    """The feature map `(N, D, h, w)`, which a graph may have as `(N, h, w, D)`."""
    return np.moveaxis(feature_map, 3, 1) if head.is_channels_last else feature_map
