"""Score one trained model on val and test, without augmentation."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from stages.classifiers import bag, dataset, inference
from stages.classifiers.dataset import ImageSource
from stages.classifiers.engine import keras
from stages.classifiers.settings import BagSettings, LoaderSettings
from stages.core import progress
from stages.core.archive import Archive
from stages.core.batches import batched
from stages.evaluate import tta, tta_views
from stages.evaluate.settings import TtaSettings
from stages.evaluate.tta_views import View
from stages.schemas.predictions import Predictions
from stages.schemas.split_data import SplitData
from stages.scoring import calibration, folds, scores
from stages.scoring.probabilities import log_loss, normalised

SCORED_SPLITS = ("val", "test")
_COMPARED = ("accuracy", "log_loss", "ece")
# Views beyond the first ones are predicted for the few photos that need them: of several batches, to fill one.
_BATCHES_AT_ONCE = 16


class Evaluation(NamedTuple):
    """`details`: the scores by split and the temperature fitted on val. Tables of test: `confusion`, a row per photo;
    `per_class`, a row per class; `reliability`, a row per bin of confidence, uncalibrated and calibrated.
    """

    details: dict[str, Any]
    confusion: pd.DataFrame
    per_class: pd.DataFrame
    reliability: pd.DataFrame

    @property
    def compared(self) -> dict[str, float]:
        """The scores on test that DVC compares between experiments; empty without test photos."""
        return {name: self.details["test"][name] for name in _COMPARED if name in self.details["test"]}


def score(splits: dict[str, SplitData], predicted: dict[str, np.ndarray], classes: list[str]) -> Evaluation:
    """Score the probabilities (N, C) by split; val and test may be empty.

    All scores are of uncalibrated probabilities, except those named `_calibrated`.
    """
    details: dict[str, Any] = {
        name: scores.summary(splits[name].labels, predicted[name], splits[name].groups) for name in SCORED_SPLITS
    }
    labels, test = splits["test"].labels, predicted["test"]
    val_labels = splits["val"].labels
    details["temperature"] = calibration.fit_temperature(predicted["val"], val_labels) if len(val_labels) else 1.0
    calibrated = calibration.apply_temperature(test, details["temperature"])
    if len(labels):
        details["test"]["ece_calibrated"] = calibration.expected_calibration_error(labels, calibrated)
        details["test"]["log_loss_calibrated"] = log_loss(labels, calibrated)
    by_name = {"uncalibrated": test, "calibrated": calibrated}
    reliability = pd.concat(
        [calibration.reliability(labels, rows).assign(model=name) for name, rows in by_name.items()]
    )
    return Evaluation(
        details, scores.confusion(labels, test, classes), scores.per_class(labels, test, classes), reliability
    )


class Batches(NamedTuple):
    """Where photos of any split come from: their archive, the photos in a batch, and the first views to predict."""

    images: Archive
    size: int
    n_views: int


def predict_held_out(
    model: keras.Model, splits: dict[str, SplitData], batches: Batches, bag_rule: BagSettings
) -> dict[str, np.ndarray]:
    """Return the probabilities (V, N, C) of the first V views of the photos of val and test.

    With folds, `val` is all photos outside test, each answered by the one network that did not learn from it.
    """
    if bag_rule.folds is None:
        return {name: predict_views(model, splits[name], batches, name) for name in SCORED_SPLITS}
    photos, networks = splits["val"], bag.members(model)
    masks = folds.held_out(photos.labels, photos.groups, bag_rule.folds, bag_rule.seed)
    by_fold = [
        (rows, predict_views(network, photos.select(rows), batches, f"fold {number} of {len(masks)}"))
        for number, (network, rows) in enumerate(zip(networks, masks, strict=True), 1)
    ]
    out_of_fold = np.zeros((batches.n_views, len(photos.labels), model.output_shape[-1]))
    for rows, predicted in by_fold:
        out_of_fold[:, rows] = predicted
    return {"val": out_of_fold, "test": predict_views(model, splits["test"], batches, "test")}


def predict_views(model: keras.Model, photos: SplitData, batches: Batches, title: str) -> np.ndarray:
    """Return the probabilities (V, N, C) of the first V views of photos; `title` stands at the progress bar."""
    source = ImageSource.of(batches.images, photos, model.input_shape[1:3])
    in_order = dataset.in_order(source, batches.size)
    track = progress.track(in_order, -(-len(source.names) // batches.size), "batch", title)
    return apply_views(model, track, len(source.names), tta_views.VIEWS[: batches.n_views])


def predict_adaptively(
    model: keras.Model, photos: SplitData, images: Archive, loader: LoaderSettings, rule: TtaSettings
) -> np.ndarray:
    """Return the probabilities (N, C) of photos, each with as few views as `rule` allows."""
    rows = [np.zeros((0, model.output_shape[-1]))]
    if not photos.image_ids:
        return rows[0]
    source = ImageSource.of(images, photos, model.input_shape[1:3])
    n_batches = -(-len(source.names) // loader.batch_size)
    tracked = progress.track(dataset.in_order(source, loader.batch_size), n_batches, "batch", "unlabelled")
    for group in batched(tracked, _BATCHES_AT_ONCE):
        inputs = np.concatenate(group)

        def predict_view(number: int, chosen: np.ndarray, inputs: np.ndarray = inputs) -> np.ndarray:
            view = tta_views.apply_transform(inputs[chosen], tta_views.VIEWS[number])
            return inference.predict(model, view, loader.batch_size)

        rows.append(tta.predict_tta(predict_view, len(inputs), rule).probabilities)
    return np.concatenate(rows)[: len(source.names)]


def apply_views(model: keras.Model, batches: Iterable[np.ndarray], n_photos: int, views: Sequence[View]) -> np.ndarray:
    """Predict every view of every photo, in batches of one shape; probabilities (V, `n_photos`, C)."""
    rows = [
        np.stack([np.asarray(model.predict_on_batch(tta_views.apply_transform(batch, view))) for view in views])
        for batch in batches
    ]
    if not rows:
        return np.zeros((len(views), 0, model.output_shape[-1]))
    return normalised(np.concatenate(rows, axis=1)[:, :n_photos])


def tta_modes(rule: TtaSettings) -> dict[str, TtaSettings]:
    """Return the modes that can be scored with the views of `rule`: `none`, the first view alone; `fixed`, the first
    `min_views`; `adaptive`; `all`, all views of every photo. Empty without augmentation.
    """
    modes = {"none": rule.replace(mode="none"), "fixed": rule.replace(mode="fixed")}
    if rule.mode == "adaptive":
        modes |= {"adaptive": rule, "all": rule.replace(mode="fixed", min_views=tta.max_views(rule))}
    return {} if rule.mode == "none" else modes


def compare_tta_modes(labels: np.ndarray, rows: np.ndarray, rule: TtaSettings) -> dict[str, dict[str, float]]:
    """Score each mode from the probabilities (V, N, C) of all views: accuracy, log loss, mean views per photo.

    Empty without photos.
    """
    figures = {}
    for name, mode in tta_modes(rule).items() if len(labels) else ():
        result = tta.predict_tta(tta.from_precomputed(rows), len(labels), mode)
        accuracy = float((result.probabilities.argmax(axis=1) == labels).mean())
        loss = log_loss(labels, result.probabilities)
        figures[name] = {"accuracy": accuracy, "log_loss": loss, "views": float(result.views.mean())}
    return figures


def to_table(splits: dict[str, SplitData], predicted: dict[str, np.ndarray], classes: list[str]) -> Predictions:
    """Return val and test as one probability table, sorted by id."""
    ids = [image_id for name in SCORED_SPLITS for image_id in splits[name].image_ids]
    order = np.argsort(np.array(ids, dtype=object), kind="stable")
    rows = np.concatenate([predicted[name] for name in SCORED_SPLITS])
    return Predictions([ids[position] for position in order], rows[order], classes)
