"""Blend the models by weights fitted on val, and compare the blend on test with simpler choices."""

import argparse
from pathlib import Path

from stages.core import atomic, command, progress, settings, tables
from stages.ensemble.fitting import (
    compare,
    describe,
    facts,
    fit,
    read_models,
    stack,
    submission,
    warn_of_manual_weights,
)
from stages.ensemble.settings import EnsembleSettings
from stages.schemas import class_list, predictions, split_data
from stages.schemas.predictions import Predictions


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "table", "classes", "predictions", "ensemble", "metrics", "blended", "submission"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    """Parse, load, fit, compare, write."""
    args = arguments()
    rule = settings.read(args.params, "ensemble", EnsembleSettings)
    classes = class_list.read_classes(args.classes)
    splits = split_data.read(args.table, classes)
    val, test = splits["val"], splits["test"]
    stacked = stack(read_models(args.params, args.predictions, classes), val.image_ids + test.image_ids)
    warn_of_manual_weights(rule)
    fitted = fit(stacked, val, rule)
    mixed = Predictions(stacked.image_ids, fitted.mix(stacked.probabilities), classes)
    predictions.write(args.blended, mixed)
    tables.write(args.submission, submission(mixed, test))
    atomic.write_json(args.ensemble, describe(stacked, fitted))
    atomic.write_json(args.metrics, compare(stacked, splits, fitted, rule) | facts(stacked, fitted))
    progress.summary("ensemble", models=len(stacked.names), val=len(val.labels), test=len(test.labels))


if __name__ == "__main__":
    command.run(main)
