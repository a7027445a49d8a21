"""Score one trained model by itself on the val and test photos, exactly as they are."""

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from stages.learning import dataset, inference, photos, runtime, scores
from stages.learning.blend import normalised
from stages.learning.dataset import Source
from stages.learning.engine import keras
from stages.learning.photos import Photos
from stages.learning.recipe import TrainParams
from stages.records import atomic, params, predictions, progress, tables
from stages.records.predictions import Predictions

_SCORED = ("val", "test")


class Report(NamedTuple):
    """`metrics` by split; of test alone: `confusion`, a row per photo, and `per_class`, a row per class."""

    metrics: dict[str, dict[str, float | int]]
    confusion: pd.DataFrame
    per_class: pd.DataFrame


def report(splits: dict[str, Photos], predicted: dict[str, np.ndarray], classes: list[str]) -> Report:
    """Score the probabilities (N, C) predicted for the photos of val and of test; either may be empty."""
    figures = {name: scores.summary(splits[name].labels, predicted[name], splits[name].groups) for name in _SCORED}
    labels, test = splits["test"].labels, predicted["test"]
    return Report(figures, scores.confusion(labels, test, classes), scores.per_class(labels, test, classes))


def predict(model: keras.Model, splits: dict[str, Photos], folder: Path, params: TrainParams) -> dict[str, np.ndarray]:
    """Return the probabilities (N, C) float64 of the photos of val and of test, read from `folder`."""
    side = model.input_shape[1]
    found = {}
    for name in _SCORED:
        source = Source(photos.files(folder, splits[name]), splits[name].labels, side)
        batches = dataset.in_order(source, params.batch_size, params.threads)
        track = progress.track(batches, -(-len(source.files) // params.batch_size), "batch", name)
        found[name] = normalised(inference.apply(model, track, len(source.files)))
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
    recipe = params.read(args.params, "train", TrainParams)
    runtime.configure(recipe.seed, recipe.threads)
    classes = photos.read_classes(args.classes)
    splits = photos.read(args.table, classes)
    model = inference.load(args.models / args.model / "model.keras", len(classes))
    predicted = predict(model, splits, args.photos, recipe)
    found = report(splits, predicted, classes)
    predictions.write(args.predictions, joined(splits, predicted, classes))
    atomic.write_json(args.metrics, found.metrics)
    tables.write(args.tables / "confusion.csv", found.confusion)
    tables.write(args.tables / "classes.csv", found.per_class)
    progress.summary(f"evaluate {args.model}", **{name: found.metrics[name]["n"] for name in _SCORED})


if __name__ == "__main__":
    main()
