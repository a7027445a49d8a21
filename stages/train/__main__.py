"""Train one model of params.yaml and keep its best state."""

import argparse
from pathlib import Path

from stages.classifiers import keras_file, pretrained, runtime
from stages.classifiers.settings import ModelSettings
from stages.core import atomic, command, progress, settings
from stages.core.archive import Archive
from stages.core.runtime_settings import RuntimeSettings
from stages.schemas import class_list
from stages.train import onnx_file
from stages.train.checkpoint import Checkpoint, fingerprint
from stages.train.curves import Curves
from stages.train.settings import TrainSettings, resolve
from stages.train.trainer import TrainingSetup, read_splits, record, train


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="name of an entry of `models` in the settings")
    names = ("params", "splits", "photos", "classes", "pretrained", "out", "curves", "logs")
    for name in names:
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    """Parse, load, train, write."""
    args = arguments()
    model = settings.read(args.params, f"models.{args.model}", ModelSettings)
    recipe = resolve(settings.read(args.params, "train", TrainSettings), model, args.model)
    classes = class_list.read_classes(args.classes)
    system = runtime.configure(
        recipe.seed, settings.read(args.params, "runtime", RuntimeSettings).n_threads, recipe.precision
    )
    splits = read_splits(args.splits, args.photos, classes)
    facts = (model, recipe, system, classes, Archive(args.photos).fingerprints)
    inputs = fingerprint(facts, [args.splits, args.pretrained / model.weights])
    checkpoint = Checkpoint(args.logs / "checkpoint.npz", inputs)
    setup = TrainingSetup(pretrained.read(args.pretrained, model), len(classes), system.precision, checkpoint)
    with Curves(args.curves, args.logs) as curves:
        result = train(model, recipe, splits, setup, curves)
    keras_file.save(result.model, args.out / "model.keras")
    onnx_file.save(result.model, args.out / "model.onnx")
    names = {"name": args.model, "backbone": model.backbone, "weights": model.weights, "classes": classes}
    atomic.write_json(args.out / "model.json", names | record(result, recipe, system))
    checkpoint.remove()
    progress.summary(
        f"train {args.model}", photos=len(splits.train.names), best_epoch=result.best.number, device=system
    )


if __name__ == "__main__":
    command.run(main)
