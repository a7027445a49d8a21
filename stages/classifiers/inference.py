"""Inference with Keras models in batches of one size, so that no photo's result depends on the others."""

from collections.abc import Iterable, Sequence

import numpy as np

from stages.classifiers.engine import keras
from stages.core.errors import UserError
from stages.scoring.probabilities import normalised


def apply(model: keras.Model, batches: Iterable[np.ndarray], n_photos: int) -> np.ndarray:
    """Apply `model` to batches of one shape and return the first `n_photos` rows (N, outputs) float32."""
    rows = [np.asarray(model.predict_on_batch(batch)) for batch in batches]
    if not rows:
        return np.zeros((0, model.output_shape[-1]), dtype=np.float32)
    return np.concatenate(rows)[:n_photos]


def predict(model: keras.Model, photos: np.ndarray, batch_size: int = 32) -> np.ndarray:
    """Return class probabilities (N, C) float64 of RGB uint8 `photos` (N, H, W, 3).

    Raises UserError unless H and W are those of the model's input.
    """
    shape = model.input_shape[1:]
    if photos.dtype != np.uint8 or photos.shape[1:] != shape:
        size = ", ".join(map(str, shape))
        raise UserError(f"expected uint8 photos (N, {size}), found {photos.dtype} {photos.shape}")
    return normalised(apply(model, _padded(photos, batch_size), len(photos)))


def _padded(photos: np.ndarray, batch_size: int) -> Sequence[np.ndarray]:
    filled = np.pad(photos, ((0, -len(photos) % batch_size), (0, 0), (0, 0), (0, 0)))
    return np.split(filled, len(filled) // batch_size) if len(filled) else []
