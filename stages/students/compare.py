"""Compare a student with the ensemble on the same photos, and calibrate it."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from stages.core import atomic, command, progress
from stages.schemas import class_list, predictions, split_data
from stages.schemas.predictions import Predictions
from stages.schemas.split_data import SplitData
from stages.scoring import paired, scores
from stages.scoring.temperature_scaling import apply_temperature, fit_temperature

_SCORES = ("accuracy", "accuracy_low", "accuracy_high", "log_loss", "ece")


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--student", required=True, help="name of an entry of `students` in params.yaml")
    parser.add_argument("--predictions", type=Path, required=True, help="those of the student")
    parser.add_argument("--out", type=Path, required=True, help="the student as an ensemble of one, for bundles")
    for name in ("splits", "classes", "ensemble-predictions", "metrics"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


def select(table: Predictions, photos: SplitData) -> np.ndarray:
    """Return the probabilities (N, C) of photos, in their order."""
    place = {image_id: row for row, image_id in enumerate(table.image_ids)}
    return table.probabilities[[place[image_id] for image_id in photos.image_ids]]


def compare(student: np.ndarray, ensemble: np.ndarray, photos: SplitData) -> dict[str, Any]:
    """Score two arrays of probabilities (N, C); `difference` is student minus ensemble, with its intervals.

    `agreement` is the share of photos with the same likeliest class. Only the number of photos without any.
    """
    if not photos.image_ids:
        return {"n": 0}
    figures: dict[str, Any] = {"n": len(photos.labels)}
    for name, rows in (("student", student), ("ensemble", ensemble)):
        summary = scores.summary(photos.labels, rows, photos.groups)
        figures[name] = {key: summary[key] for key in _SCORES}
    figures["difference"] = paired.paired_gain(student, ensemble, photos.labels, photos.groups)
    return figures | {"agreement": float((student.argmax(axis=1) == ensemble.argmax(axis=1)).mean())}


def main() -> None:
    """Read both predictions, fit the temperature on val, compare, write."""
    args = arguments()
    classes = class_list.read_classes(args.classes)
    splits = split_data.read(args.splits, classes)
    student, ensemble = (predictions.read(path, classes) for path in (args.predictions, args.ensemble_predictions))
    val = splits["val"]
    temperature = fit_temperature(select(student, val), val.labels) if val.image_ids else 1.0
    figures = {
        name: compare(
            apply_temperature(select(student, splits[name]), temperature),
            select(ensemble, splits[name]),
            splits[name],
        )
        for name in ("val", "test")
    }
    prior = dict(zip(classes, split_data.class_shares(splits["train"], len(classes)).tolist()))
    saved = {"classes": classes, "weights": {args.student: 1.0}, "temperature": temperature, "prior": prior}
    atomic.write_json(args.out, saved | {"abstain": None})
    atomic.write_json(args.metrics, figures)
    progress.summary(f"compare {args.student}", **{name: figure["n"] for name, figure in figures.items()})


if __name__ == "__main__":
    command.run(main)
