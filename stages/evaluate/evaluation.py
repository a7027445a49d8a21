"""Score one trained model on val and test, without augmentation."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from stages.classifiers.image_source import ImageSource
from stages.classifiers.onnx_classifier import ClassifyFn, TrainedClassifier
from stages.classifiers.settings import BagSettings
from stages.core import batches, progress
from stages.core.archive import Archive
from stages.evaluate import tta, tta_views
from stages.evaluate.settings import TtaSettings
from stages.schemas.predictions import Predictions
from stages.schemas.split_data import SplitData
from stages.scoring import calibration, folds, scores
from stages.scoring.probabilities import log_loss
from stages.scoring.temperature_scaling import apply_temperature, fit_temperature

SCORED_SPLITS = ("val", "test")
_COMPARED = ("accuracy", "log_loss", "ece")
# Photos that are decoded ahead of the network.
_AHEAD = 32
# Views beyond the first ones are predicted for the few of these photos that need them.
_AT_ONCE = 256


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
    details["temperature"] = fit_temperature(predicted["val"], val_labels) if len(val_labels) else 1.0
    calibrated = apply_temperature(test, details["temperature"])
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


class Views(NamedTuple):
    """What is predicted of each photo: its image in an archive, in the first `number` views."""

    images: Archive
    number: int


def predict_held_out(
    model: TrainedClassifier, splits: dict[str, SplitData], views: Views, bag: BagSettings
) -> dict[str, np.ndarray]:
    """Return the probabilities (V, N, C) of the first V views of the photos of val and test.

    With folds, `val` is all photos outside test, each predicted by the one network that did not learn from it.
    """
    if bag.folds is None:
        return {name: predict_views(model, model.classify, splits[name], views, name) for name in SCORED_SPLITS}
    photos = splits["val"]
    masks = folds.held_out(photos.labels, photos.groups, bag.folds, bag.seed)
    out_of_fold = np.zeros((views.number, len(photos.labels), model.n_classes))
    for number, (member, rows) in enumerate(zip(model.members, masks, strict=True), 1):
        title = f"fold {number} of {len(masks)}"
        out_of_fold[:, rows] = predict_views(model, member, photos.select(rows), views, title)
    return {"val": out_of_fold, "test": predict_views(model, model.classify, splits["test"], views, "test")}


def predict_views(
    model: TrainedClassifier, classify: ClassifyFn, photos: SplitData, views: Views, title: str
) -> np.ndarray:
    """Return the probabilities (V, N, C) by `classify`, the model or a member of it; `title` is the progress bar's."""
    source = ImageSource.of(views.images, photos, model.size_hw)
    if not source.names:
        return np.zeros((views.number, 0, model.n_classes))
    made = batches.ordered_thread_map(partial(_load_views, source, views.number), source.names, _AHEAD)
    tracked = progress.track(made, len(source.names), "photo", title)
    rows = classify(view for _, of_photo in tracked for view in of_photo)
    return rows.reshape(len(source.names), views.number, -1).swapaxes(0, 1)


def _load_views(source: ImageSource, number: int, name: str) -> list[np.ndarray]:
    image = source.load(name)
    return [tta_views.apply_transform(image, view) for view in tta_views.VIEWS[:number]]


def predict_adaptively(model: TrainedClassifier, photos: SplitData, images: Archive, rule: TtaSettings) -> np.ndarray:
    """Return the probabilities (N, C) of photos, each with as few views as `rule` allows."""
    rows = [np.zeros((0, model.n_classes))]
    if not photos.image_ids:
        return rows[0]
    source = ImageSource.of(images, photos, model.size_hw)
    loaded = batches.ordered_thread_map(source.load, source.names, _AHEAD)
    tracked = progress.track(loaded, len(source.names), "photo", "unlabelled")
    for group in batches.batched((image for _, image in tracked), _AT_ONCE):
        rows.append(tta.predict_tta(tta.of_images(model.classify, group), len(group), rule).probabilities)
    return np.concatenate(rows)


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
