"""Train one model or student of params.yaml and keep its best state."""

import argparse
from pathlib import Path

from stages.classifiers import bag, keras_file, pretrained, runtime
from stages.classifiers.settings import BagSettings, ModelSettings, TeachSettings
from stages.core import atomic, command, progress, settings
from stages.core.archive import Archive
from stages.core.runtime_settings import RuntimeSettings
from stages.schemas import class_list
from stages.train import bagging, distillation, onnx_file
from stages.train.checkpoint import fingerprint
from stages.train.curves import Curves
from stages.train.fit import Splits
from stages.train.settings import TrainSettings, resolve
from stages.train.trainer import TrainingSetup


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="name of an entry of `models`, or of `students`")
    parser.add_argument(
        "--targets", type=Path, help="of a student: what the ensemble predicts of the photos to train on"
    )
    names = ("params", "splits", "photos", "classes", "pretrained", "out", "curves", "logs")
    for name in names:
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


def read_splits(
    args: argparse.Namespace, classes: list[str], bag: BagSettings, teach: TeachSettings | None
) -> list[Splits]:
    """What each network trains on and is judged by. A student is one network, whatever the folds."""
    if teach is None:
        return bagging.read_members(args.splits, args.photos, classes, bag)
    return [distillation.read_splits(args.splits, args.photos, args.targets, classes, teach)]


def main() -> None:
    """Parse, load, train, write."""
    args = arguments()
    section = "models" if args.targets is None else "students"
    model = settings.read(args.params, f"{section}.{args.model}", ModelSettings)
    given = settings.read(args.params, "train", TrainSettings)
    recipe = resolve(given, model, args.model, section)
    teach = None if args.targets is None else settings.read(args.params, "teach", TeachSettings)
    classes = class_list.read_classes(args.classes)
    system = runtime.configure(
        recipe.seed, settings.read(args.params, "runtime", RuntimeSettings).n_threads, recipe.precision
    )
    splits = read_splits(args, classes, given, teach)
    members = bagging.plan(splits, recipe, args.curves, args.logs)
    facts = (model, teach, system, classes, Archive(args.photos).fingerprints)
    inputs = fingerprint(facts, [args.splits, args.pretrained / model.weights, *([args.targets] if teach else [])])
    tensors = pretrained.read(args.pretrained, model)
    setup = TrainingSetup(model, tensors, len(classes), system.precision, inputs, teach)
    results = bagging.train_all(members, setup)
    if len(members) > 1:
        with Curves(args.curves, args.logs) as curves:
            bagging.log_mean(curves, [result.history for result in results])
    network = bag.join([result.model for result in results])
    keras_file.save(network, args.out / "model.keras")
    onnx_file.save(network, args.out / "model.onnx")
    names = {"name": args.model, "backbone": model.backbone, "weights": model.weights, "classes": classes}
    atomic.write_json(args.out / "model.json", names | bagging.record(results, members, system))
    for result in results:
        result.checkpoint.remove()
    photos = " + ".join(str(len(member.splits.train.names)) for member in members)
    epochs = " + ".join(str(result.best.number) for result in results)
    progress.summary(f"train {args.model}", photos=photos, best_epoch=epochs, device=system)


if __name__ == "__main__":
    command.run(main)
