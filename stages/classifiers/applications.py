"""The networks of `keras.applications`, each with the input scaling that it was trained with.

Their ImageNet weights are a list of arrays in the order of the network's own, named by that order and by the weight.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from stages.classifiers.catalogue import Application
from stages.classifiers.engine import keras
from stages.classifiers.errors import WeightsError
from stages.core.errors import UserError

layers = keras.layers

# The name of the one layer with weights between a network and its head.
EMBEDDING = "embedding"


# ImageNet's mean and deviation of red, green and blue, of 0..1; and its mean of blue, green and red, of 0..255.
_MEAN, _DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
_CAFFE_MEAN = np.array([103.939, 116.779, 123.68])


def features(application: Application) -> Callable[[Any], Any]:
    """Return a function from an RGB tensor (N, H, W, 3), float, 0..255, to the feature map (N, h, w, D)."""
    return lambda image: _build(application, _scaled(image, application.scaling)).output


def _build(application: Application, image: Any, weights: str | None = None) -> keras.Model:
    constructor = getattr(keras.applications, application.constructor)
    with warnings.catch_warnings():
        # MobileNets warn that their weights are those for 224 pixels, whatever the input.
        warnings.filterwarnings("ignore", ".*input_shape.*", UserWarning)
        return constructor(include_top=False, weights=weights, input_tensor=image)


def _scaled(image: Any, scaling: str) -> Any:
    if scaling == "tf":
        return layers.Rescaling(1 / 127.5, -1.0, name="normalise")(image)
    if scaling == "torch":
        scale, offset = 1 / (255 * _DEVIATION), -_MEAN / _DEVIATION
        return layers.Rescaling(scale.tolist(), offset.tolist(), name="normalise")(image)
    if scaling == "caffe":
        return layers.Rescaling(1.0, (-_CAFFE_MEAN).tolist(), name="normalise")(image[..., ::-1])
    return image


def pretrained(application: Application) -> dict[str, np.ndarray]:
    """Return the ImageNet weights, which Keras downloads if needed and checks by their hash.

    Raises UserError if they cannot be downloaded.
    """
    try:
        model = _build(application, keras.Input((None, None, 3)), "imagenet")
    except Exception as error:
        # `get_file` raises a bare Exception for every failed download.
        if "URL fetch failure" not in str(error):
            raise
        raise UserError(
            f"{application.constructor}: expected ImageNet's weights from Keras, found: {error}; connect to the "
            "internet once, put the file that it names into ~/.keras/models, or bring this stage's output by `dvc pull`"
        ) from None
    return tensors(model)


def tensors(model: keras.Model) -> dict[str, np.ndarray]:
    """Return the weights of `model` by names that begin with their index."""
    return {f"{index:04d} {weight.path}": np.asarray(weight) for index, weight in enumerate(model.weights)}


def load(model: keras.Model, given: Mapping[str, np.ndarray]) -> None:
    """Assign `tensors` of the bare network to a model that begins with it; the layers after it keep their weights.

    Raises WeightsError when there are too many of them, or one is of another shape.
    """
    arrays = [given[name] for name in sorted(given)]
    wanted = [tuple(weight.shape) for weight in model.weights[: len(arrays)]]
    if wanted != [array.shape for array in arrays] or _has_more(model, len(arrays)):
        raise WeightsError(
            f"expected the {len(model.weights)} weights of this network, found {len(arrays)} arrays, or others; the "
            "file belongs to another network"
        )
    for weight, array in zip(model.weights, arrays):
        weight.assign(array)


def _has_more(model: keras.Model, n_arrays: int) -> bool:
    """Whether the arrays end before the part of the network that they are for: all but the embedding."""
    rest = {weight.path.split("/")[0] for weight in model.weights[n_arrays:]}
    return bool(rest - {EMBEDDING})
