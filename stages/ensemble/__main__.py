"""Fit weights and temperature of the ensemble on val, and score it on test."""

import argparse
from pathlib import Path

from stages.core import atomic, command, progress, settings, stale_files, tables
from stages.ensemble import fitting, selective
from stages.ensemble.fitting import FittedEnsemble, StackedPredictions
from stages.ensemble.settings import EnsembleSettings
from stages.schemas import class_list, predictions, split_data
from stages.schemas.predictions import Predictions
from stages.schemas.split_data import SplitData


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--predictions", type=Path, required=True, help="folder of the models' predictions")
    parser.add_argument("--unlabelled-probabilities", type=Path, required=True, help="those of the ensemble")
    parser.add_argument("--ensemble", type=Path, required=True, help="the fitted ensemble, in the folder of the models")
    parser.add_argument("--unlabelled", type=Path, required=True, help="folder of their predictions without labels")
    names = ("params", "splits", "classes", "ensemble-predictions", "test-predictions", "details", "risk-coverage")
    for name in names:
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("metrics", "best-single", "gain", "weights"):
        parser.add_argument(f"--{name}", type=Path, required=True, help="figures that DVC compares between experiments")
    return parser.parse_args()


def remove_stale(params_path: Path, folders: list[Path], models: Path) -> None:
    """Remove predictions and trained models of models that params.yaml no longer names."""
    names = fitting.model_names(params_path)
    removed = [path for folder in folders for path in stale_files.remove(folder, names, "{}.csv")]
    removed += stale_files.remove(models, names, "{}/model.json")
    stale_files.print_removed("ensemble", removed, "model")


def write_predictions(
    args: argparse.Namespace, stacked: StackedPredictions, fitted: FittedEnsemble, test: SplitData
) -> None:
    """Write the ensemble's predictions of photos with labels, those of test for people, and of photos without."""
    predicted = Predictions(stacked.image_ids, fitted.ensemble(stacked.probabilities), stacked.classes)
    predictions.write(args.ensemble_predictions, predicted)
    tables.write(args.test_predictions, fitting.test_predictions(predicted, test))
    unlabelled = fitting.read_models(args.params, args.unlabelled, stacked.classes)
    predictions.write(args.unlabelled_probabilities, fitting.predict(unlabelled, fitted.ensemble))


def main() -> None:
    """Read the predictions, fit, score, write."""
    args = arguments()
    rule = settings.read(args.params, "ensemble", EnsembleSettings)
    classes = class_list.read_classes(args.classes)
    splits = split_data.read(args.splits, classes)
    remove_stale(args.params, [args.predictions, args.unlabelled], args.ensemble.parent)
    by_model = fitting.read_models(args.params, args.predictions, classes)
    stacked, held_out = fitting.stack_held_out(by_model, splits)
    fitting.warn_of_manual_weights(rule)
    fitted = fitting.fit(stacked, held_out["val"], rule)
    write_predictions(args, stacked, fitted, held_out["test"])
    ranked = fitting.ranked_predictions(stacked, held_out, fitted, rule)
    tables.write(args.risk_coverage, selective.curves(ranked))
    unsure = selective.figures(ranked["val"], ranked["test"], rule.abstain)
    prior = split_data.class_shares(splits["train"], len(classes)).tolist()
    saved = {"prior": dict(zip(classes, prior)), "abstain": unsure if rule.abstain else None}
    atomic.write_json(args.ensemble, fitting.describe(stacked, fitted) | saved)
    details = fitting.compare(stacked, held_out, fitted, rule) | fitting.fit_details(stacked, fitted)
    details |= {"selective": unsure, "fitted_on": split_data.held_out_name(splits, held_out)}
    atomic.write_json(args.details, details)
    paths = {"ensemble": args.metrics, "best_single": args.best_single, "gain": args.gain, "weights": args.weights}
    for name, figures in fitting.compared(details).items():
        atomic.write_json(paths[name], figures)
    counts = {name: len(split.labels) for name, split in held_out.items()}
    progress.summary("ensemble", models=len(stacked.names), **counts)


if __name__ == "__main__":
    command.run(main)
