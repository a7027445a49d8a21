"""Score one trained model by itself on the val and test photos, nothing of them varied by chance."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from stages.classifiers import dataset
from stages.classifiers.dataset import ImageSource
from stages.classifiers.engine import keras
from stages.classifiers.settings import LoaderSettings
from stages.core import progress
from stages.core.archive import Archive
from stages.evaluate import tta, tta_views
from stages.evaluate.settings import TtaSettings
from stages.evaluate.tta_views import View
from stages.schemas.predictions import Predictions
from stages.schemas.split_data import SplitData
from stages.scoring import calibration, scores
from stages.scoring.probabilities import log_loss, normalised

_SCORED = ("val", "test")


class Report(NamedTuple):
    """`metrics` by split, and the temperature with what it mends; of test alone: `confusion`, a row per photo,
    `per_class`, a row per class, and `reliability`, a row per bin of confidence before and after tempering.
    """

    metrics: dict[str, Any]
    confusion: pd.DataFrame
    per_class: pd.DataFrame
    reliability: pd.DataFrame


def report(splits: dict[str, SplitData], predicted: dict[str, np.ndarray], classes: list[str]) -> Report:
    """Score the probabilities (N, C) predicted for the photos of val and of test; either may be empty.

    The temperature is fitted on val; the rest are figures of the model as it is.
    """
    found: dict[str, Any] = {
        name: scores.summary(splits[name].labels, predicted[name], splits[name].groups) for name in _SCORED
    }
    labels, test = splits["test"].labels, predicted["test"]
    val = splits["val"].labels
    found["temperature"] = calibration.fit_temperature(predicted["val"], val) if len(val) else 1.0
    mended = calibration.apply_temperature(test, found["temperature"])
    if len(labels):
        found["test"]["ece_tempered"] = calibration.expected_calibration_error(labels, mended)
        found["test"]["log_loss_tempered"] = log_loss(labels, mended)
    curves = {"as it is": test, "tempered": mended}
    reliability = pd.concat([calibration.reliability(labels, rows).assign(model=name) for name, rows in curves.items()])
    return Report(found, scores.confusion(labels, test, classes), scores.per_class(labels, test, classes), reliability)


def predict(
    model: keras.Model, splits: dict[str, SplitData], pictures: Archive, loader: LoaderSettings, n_views: int
) -> dict[str, np.ndarray]:
    """Return the probabilities (V, N, C) of the first V views of the photos of val and of test, among `pictures`."""
    size_hw = model.input_shape[1:3]
    found = {}
    for name in _SCORED:
        source = ImageSource.of(pictures, splits[name], size_hw)
        batches = dataset.in_order(source, loader.batch_size)
        track = progress.track(batches, -(-len(source.names) // loader.batch_size), "batch", name)
        found[name] = apply_views(model, track, len(source.names), tta_views.VIEWS[:n_views])
    return found


def apply_views(model: keras.Model, batches: Iterable[np.ndarray], n_photos: int, views: Sequence[View]) -> np.ndarray:
    """Apply `model` to every view of every photo, in batches of one shape; rows (V, `n_photos`, C)."""
    rows = [
        np.stack([np.asarray(model.predict_on_batch(tta_views.apply_transform(batch, view))) for view in views])
        for batch in batches
    ]
    if not rows:
        return np.zeros((len(views), 0, model.output_shape[-1]))
    return normalised(np.concatenate(rows, axis=1)[:, :n_photos])


def tta_modes(rule: TtaSettings) -> dict[str, TtaSettings]:
    """Return the ways of looking that can be compared with the views of `rule`: none but the first, those of every
    photo, adaptive, and all for all.
    """
    found = {"none": rule.replace(mode="none"), "fixed": rule.replace(mode="fixed")}
    if rule.mode == "adaptive":
        found |= {"adaptive": rule, "all": rule.replace(mode="fixed", min_views=tta.max_views(rule))}
    return {} if rule.mode == "none" else found


def compare_views(labels: np.ndarray, rows: np.ndarray, rule: TtaSettings) -> dict[str, dict[str, float]]:
    """Score the ways of looking on photos of which all views are known, rows (V, N, C): accuracy, log loss, and the
    mean number of views a photo needs. Nothing for no photos.
    """
    found = {}
    for name, way in tta_modes(rule).items() if len(labels) else ():
        answers = tta.predict_tta(tta.from_precomputed(rows), len(labels), way)
        accuracy = float((answers.probabilities.argmax(axis=1) == labels).mean())
        loss = log_loss(labels, answers.probabilities)
        found[name] = {"accuracy": accuracy, "log_loss": loss, "views": float(answers.views.mean())}
    return found


def joined(splits: dict[str, SplitData], predicted: dict[str, np.ndarray], classes: list[str]) -> Predictions:
    """Return val and test as one probability table, sorted by id."""
    ids = [image_id for name in _SCORED for image_id in splits[name].image_ids]
    order = np.argsort(np.array(ids, dtype=object), kind="stable")
    rows = np.concatenate([predicted[name] for name in _SCORED])
    return Predictions([ids[position] for position in order], rows[order], classes)
