"""Score one trained model by itself on the val and test photos, nothing of them varied by chance."""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from stages.learning import calibration, dataset, inference, photos, runtime, scores, tta
from stages.learning.dataset import Source
from stages.learning.engine import keras
from stages.learning.photos import Photos
from stages.learning.probabilities import log_loss, normalised
from stages.learning.recipe import TrainParams
from stages.learning.tta import TtaParams, View
from stages.records import atomic, command, params, predictions, progress, tables
from stages.records.archive import Archive
from stages.records.predictions import Predictions

_SCORED = ("val", "test")


class Report(NamedTuple):
    """`metrics` by split, and the temperature with what it mends; of test alone: `confusion`, a row per photo,
    `per_class`, a row per class, and `reliability`, a row per bin of confidence before and after tempering.
    """

    metrics: dict[str, Any]
    confusion: pd.DataFrame
    per_class: pd.DataFrame
    reliability: pd.DataFrame


def report(splits: dict[str, Photos], predicted: dict[str, np.ndarray], classes: list[str]) -> Report:
    """Score the probabilities (N, C) predicted for the photos of val and of test; either may be empty.

    The temperature is fitted on val; the rest are figures of the model as it is.
    """
    found: dict[str, Any] = {
        name: scores.summary(splits[name].labels, predicted[name], splits[name].groups) for name in _SCORED
    }
    labels, test = splits["test"].labels, predicted["test"]
    val = splits["val"].labels
    found["temperature"] = calibration.fit_temperature(predicted["val"], val) if len(val) else 1.0
    mended = calibration.tempered(test, found["temperature"])
    if len(labels):
        found["test"]["ece_tempered"] = calibration.expected_error(labels, mended)
        found["test"]["log_loss_tempered"] = log_loss(labels, mended)
    curves = {"as it is": test, "tempered": mended}
    reliability = pd.concat([calibration.reliability(labels, rows).assign(model=name) for name, rows in curves.items()])
    return Report(found, scores.confusion(labels, test, classes), scores.per_class(labels, test, classes), reliability)


def predict(
    model: keras.Model, splits: dict[str, Photos], pictures: Archive, params: TrainParams, n_views: int
) -> dict[str, np.ndarray]:
    """Return the probabilities (V, N, C) of the first V views of the photos of val and of test, among `pictures`."""
    size_hw = model.input_shape[1:3]
    found = {}
    for name in _SCORED:
        source = Source.of(pictures, splits[name], size_hw)
        batches = dataset.in_order(source, params.batch_size, params.threads)
        track = progress.track(batches, -(-len(source.names) // params.batch_size), "batch", name)
        found[name] = apply_views(model, track, len(source.names), tta.VIEWS[:n_views])
    return found


def apply_views(model: keras.Model, batches: Iterable[np.ndarray], n_photos: int, views: Sequence[View]) -> np.ndarray:
    """Apply `model` to every view of every photo, in batches of one shape; rows (V, `n_photos`, C)."""
    rows = [
        np.stack([np.asarray(model.predict_on_batch(tta.look(batch, view))) for view in views]) for batch in batches
    ]
    if not rows:
        return np.zeros((len(views), 0, model.output_shape[-1]))
    return normalised(np.concatenate(rows, axis=1)[:, :n_photos])


def modes(rule: TtaParams) -> dict[str, TtaParams]:
    """Return the ways of looking that can be compared with the views of `rule`: none but the first, those of every
    photo, adaptive, and all for all.
    """
    found = {"none": replace(rule, mode="none"), "fixed": replace(rule, mode="fixed")}
    if rule.mode == "adaptive":
        found |= {"adaptive": rule, "all": replace(rule, mode="fixed", first=tta.most(rule))}
    return {} if rule.mode == "none" else found


def compare_views(labels: np.ndarray, rows: np.ndarray, rule: TtaParams) -> dict[str, dict[str, float]]:
    """Score the ways of looking on photos of which all views are known, rows (V, N, C): accuracy, log loss, and the
    mean number of views a photo needs. Nothing for no photos.
    """
    found = {}
    for name, way in modes(rule).items() if len(labels) else ():
        answers = tta.answer(tta.known(rows), len(labels), way)
        accuracy = float((answers.probabilities.argmax(axis=1) == labels).mean())
        loss = log_loss(labels, answers.probabilities)
        found[name] = {"accuracy": accuracy, "log_loss": loss, "views": float(answers.views.mean())}
    return found


def joined(splits: dict[str, Photos], predicted: dict[str, np.ndarray], classes: list[str]) -> Predictions:
    """Return val and test as one probability table, sorted by id."""
    ids = [image_id for name in _SCORED for image_id in splits[name].image_ids]
    order = np.argsort(np.array(ids, dtype=object), kind="stable")
    rows = np.concatenate([predicted[name] for name in _SCORED])
    return Predictions([ids[position] for position in order], rows[order], classes)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="name of the model, for the line of counts")
    parser.add_argument("--models", type=Path, required=True, help="the folder of all models")
    for name in ("params", "table", "photos", "classes", "predictions", "metrics", "tables"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    """Parse, load, predict, score, write."""
    args = arguments()
    recipe, rule = params.read(args.params, "train", TrainParams), params.read(args.params, "tta", TtaParams)
    system = runtime.configure(recipe.seed, recipe.threads)
    classes = photos.read_classes(args.classes)
    splits = photos.read(args.table, classes)
    model = inference.load(args.models / args.model / "model.keras", len(classes))
    looked = predict(model, splits, Archive(args.photos), recipe, tta.most(rule))
    predicted = {name: tta.answer(tta.known(rows), rows.shape[1], rule).probabilities for name, rows in looked.items()}
    found = report(splits, predicted, classes)
    views = {name: compare_views(splits[name].labels, rows, rule) for name, rows in looked.items()}
    predictions.write(args.predictions, joined(splits, predicted, classes))
    atomic.write_json(args.metrics, found.metrics | {"tta": views})
    tables.write(args.tables / "confusion.csv", found.confusion)
    tables.write(args.tables / "classes.csv", found.per_class)
    tables.write(args.tables / "reliability.csv", found.reliability)
    progress.summary(f"evaluate {args.model}", **{name: found.metrics[name]["n"] for name in _SCORED}, device=system)


if __name__ == "__main__":
    command.run(main)
