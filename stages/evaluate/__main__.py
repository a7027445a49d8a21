"""Score one trained model on val and test, and fit its temperature.

Test-time augmentation follows section `tta` of params.yaml.
"""

import argparse
from pathlib import Path

from stages.classifiers import onnx_classifier
from stages.classifiers.settings import BagSettings
from stages.core import atomic, command, progress, settings, tables
from stages.core.archive import Archive
from stages.evaluate import tta
from stages.evaluate.evaluation import (
    SCORED_SPLITS,
    Views,
    compare_tta_modes,
    predict_adaptively,
    predict_held_out,
    score,
    to_table,
)
from stages.evaluate.settings import TtaSettings
from stages.networks import runtime
from stages.schemas import class_list, predictions, split_data
from stages.schemas.predictions import Predictions


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="name of an entry of `models`, or of `students`")
    parser.add_argument("--student", action="store_true", help="the model is one network, whatever train.folds says")
    parser.add_argument("--models", type=Path, required=True, help="folder of the trained models")
    parser.add_argument("--metrics", type=Path, required=True, help="figures that DVC compares between experiments")
    parser.add_argument("--details", type=Path, required=True, help="all other figures")
    parser.add_argument("--tables", type=Path, required=True, help="folder of the tables for plots")
    for name in ("params", "splits", "photos", "classes", "predictions", "unlabelled"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    """Load the model, predict, score, write."""
    args = arguments()
    bag = settings.read(args.params, "train", BagSettings, subset=True)
    if args.student:
        bag = bag.replace(folds=None)
    rule = settings.read(args.params, "tta", TtaSettings)
    classes = class_list.read_classes(args.classes)
    splits = split_data.read(args.splits, classes)
    if bag.folds is not None:
        splits |= {"val": split_data.outside_test(splits)}
    model = onnx_classifier.load_trained(args.models / args.model / "model.onnx", len(classes))
    images, unlabelled = Archive(args.photos), split_data.read_unlabelled(args.splits)
    by_view = predict_held_out(model, splits, Views(images, tta.max_views(rule)), bag)
    predicted = {
        name: tta.predict_tta(tta.from_precomputed(rows), rows.shape[1], rule).probabilities
        for name, rows in by_view.items()
    }
    evaluation = score(splits, predicted, classes)
    modes = {name: compare_tta_modes(splits[name].labels, rows, rule) for name, rows in by_view.items()}
    predictions.write(args.predictions, to_table(splits, predicted, classes))
    rows = predict_adaptively(model, unlabelled, images, rule)
    predictions.write(args.unlabelled, Predictions(unlabelled.image_ids, rows, classes))
    atomic.write_json(args.metrics, evaluation.compared)
    atomic.write_json(args.details, evaluation.details | {"tta": modes})
    tables.write(args.tables / "confusion.csv", evaluation.confusion)
    tables.write(args.tables / "classes.csv", evaluation.per_class)
    tables.write(args.tables / "reliability.csv", evaluation.reliability)
    counts = {name: len(splits[name].labels) for name in SCORED_SPLITS} | {"unlabelled": len(unlabelled.image_ids)}
    engine = runtime.shown(runtime.describe_runtime(onnx_classifier.INFERENCE), is_on_cluster=False)
    progress.summary(f"evaluate {args.model}", **counts, engine=engine)


if __name__ == "__main__":
    command.run(main)
