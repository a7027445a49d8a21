"""Inference with trained models in batches of one size, so that no photo's result depends on the others."""

import zipfile
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from stages.classifiers.engine import keras
from stages.core.errors import UserError
from stages.scoring.probabilities import normalised


def load(path: Path, n_classes: int) -> keras.Model:
    """Load `model.keras`: takes RGB uint8 (N, H, W, 3), gives probabilities (N, C).

    Raises UserError if there is none, if it is damaged, or has another number of classes.
    """
    if not path.is_file():
        raise UserError(f"{path}: expected a trained model, found none; run `dvc repro train`")
    _require_whole(path)
    # Safe mode refuses a model that contains code, such as a lambda.
    model = keras.saving.load_model(path, compile=False, safe_mode=True)
    if model.output_shape[-1] != n_classes:
        raise UserError(f"{path}: expected {n_classes} classes, found {model.output_shape[-1]}; run `dvc repro train`")
    return model


def _require_whole(path: Path) -> None:
    """Raise UserError unless the file is a ZIP file all of whose members have their checksums."""
    try:
        with zipfile.ZipFile(path) as file:
            damaged = file.testzip()
        problem = f"{damaged} is damaged" if damaged else ""
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError) as error:
        problem = str(error)
    if problem:
        raise UserError(f"{path}: expected a trained model, found: {problem}; delete it and run `dvc repro train`")


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
