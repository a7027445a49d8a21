"""Classifiers by the name of their backbone: building them and loading their weights."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from stages.classifiers import applications, efficientnet_lite
from stages.classifiers.catalogue import APPLICATIONS, Application
from stages.classifiers.engine import keras
from stages.core.errors import UserError

layers = keras.layers

HEAD = "head"
_POOLING = {"average": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D}


@dataclass(frozen=True)
class Backbone:
    """`features` maps an RGB tensor (N, H, W, 3) of 0..255, float, to a feature map (N, h, w, D); `load` puts
    pretrained tensors by name into a model that holds those layers.
    """

    features: Callable[[Any], Any]
    load: Callable[[keras.Model, Mapping[str, np.ndarray]], None]


class ClassifierConfig(NamedTuple):
    """Height and width of the photos given and of what the network sees of them, in pixels; number of classes; how
    features become classes: `pooling` average, max or both, an `embedding` of so many features before the classes (0:
    none), dropout and its `seed`.
    """

    photo_hw: tuple[int, int]
    input_hw: tuple[int, int]
    n_classes: int
    dropout: float = 0.0
    seed: int = 0
    pooling: str = "average"
    embedding: int = 0


class ClassifierModels(NamedTuple):
    """Three models on the same layers. All take RGB uint8 (N, H, W, 3) of `photo_hw` and give float32:
    `pooled` features (N, D), `logits` (N, C), `probabilities` (N, C) with rows summing to one.
    """

    pooled: keras.Model
    logits: keras.Model
    probabilities: keras.Model


def _efficientnet_lite(scale: efficientnet_lite.Scale) -> Backbone:
    def features(image: Any) -> Any:
        normalised = layers.Rescaling(1 / 128, -127 / 128, name="normalise")(image)
        return efficientnet_lite.features(normalised, scale)

    return Backbone(features, efficientnet_lite.load)


def _application(application: Application) -> Backbone:
    return Backbone(applications.features(application), applications.load)


BACKBONES = {name: _efficientnet_lite(scale) for name, scale in efficientnet_lite.SCALES.items()}
BACKBONES |= {name: _application(application) for name, application in APPLICATIONS.items()}


def find(name: str) -> Backbone:
    """Return the backbone of this name. Raises UserError naming those there are."""
    if name not in BACKBONES:
        raise UserError(f"backbone: expected one of {', '.join(BACKBONES)}, found {name!r}")
    return BACKBONES[name]


def build(backbone: Backbone, shape: ClassifierConfig, policy: str = "float32") -> ClassifierModels:
    """Build a classifier with random weights under the Keras dtype `policy`.

    Every layer has a fixed name, so a model is the same whatever was built before it in the process.
    """
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return _build(backbone, shape)
    finally:
        keras.config.set_dtype_policy(previous)


def _build(backbone: Backbone, shape: ClassifierConfig) -> ClassifierModels:
    photo = keras.Input((*shape.photo_hw, 3), dtype="uint8", name="photo")
    image = layers.Rescaling(1.0, name="to_float")(photo)
    if shape.input_hw != shape.photo_hw:
        image = layers.Resizing(*shape.input_hw, antialias=True, name="resize")(image)
    pooled = _pool(backbone.features(image), shape)
    dropped = layers.Dropout(shape.dropout, seed=shape.seed, dtype="float32", name="dropout")(pooled)
    logits = layers.Dense(shape.n_classes, dtype="float32", name=HEAD)(dropped)
    probabilities = layers.Softmax(dtype="float32", name="probabilities")(logits)
    outputs = {"pooled": pooled, "logits": logits, "probabilities": probabilities}
    return ClassifierModels(**{name: keras.Model(photo, out, name=name) for name, out in outputs.items()})


def _pool(features: Any, shape: ClassifierConfig) -> Any:
    """Bring a feature map (N, h, w, D) to (N, D), (N, 2 D) for both kinds of pooling, or (N, embedding)."""
    kinds = ("average", "max") if shape.pooling == "both" else (shape.pooling,)
    pooled = [_POOLING[kind](dtype="float32", name=f"pool_{kind}")(features) for kind in kinds]
    joined = layers.Concatenate(dtype="float32", name="pool")(pooled) if len(pooled) > 1 else pooled[0]
    if not shape.embedding:
        return joined
    return layers.Dense(shape.embedding, "relu", dtype="float32", name=applications.EMBEDDING)(joined)


def freeze(model: keras.Model, share: float, batch_norm: str) -> None:
    """Keep the first `share` (0..1) of the layers as they are; train the rest.

    The first layers compute much the same for all photographs (Yosinski et al. 2014, arXiv:1411.1792), and
    training them is expensive, because they work at the highest resolution. With `batch_norm` `trained`, the other
    layers normalise by each batch; `frozen` keeps ImageNet's statistics (the practice of
    fine-tuned detectors since He et al. 2016, arXiv:1512.03385, appendix A), its scales and its offsets.
    """
    n_first = round(share * len(model.layers))
    for number, layer in enumerate(model.layers):
        is_kept = batch_norm == "frozen" and isinstance(layer, layers.BatchNormalization)
        layer.trainable = number >= n_first and not is_kept
