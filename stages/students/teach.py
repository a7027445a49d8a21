"""Write what a student learns: predictions of the ensemble, and pseudo-labels."""

import argparse
from pathlib import Path

from stages.classifiers import onnx_classifier
from stages.classifiers.settings import TeachSettings
from stages.core import atomic, command, progress, settings
from stages.core.archive import Archive
from stages.core.errors import TableError
from stages.images.settings import input_names
from stages.schemas import class_list, predictions, split_data
from stages.schemas.split_data import SplitData
from stages.students import teaching
from stages.students.teacher import Teacher
from stages.students.teaching import TeacherPredictions


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=Path, required=True, help="folder of the trained models and the ensemble")
    parser.add_argument("--photos", type=Path, required=True, help="folder of the model inputs")
    parser.add_argument("--predictions", type=Path, required=True, help="folder of the models' predictions")
    parser.add_argument("--unlabelled", type=Path, required=True, help="folder of their predictions without labels")
    for name in ("params", "splits", "classes", "targets", "details"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


def predict_train(
    args: argparse.Namespace, teacher: Teacher, known: TeacherPredictions, train: SplitData
) -> TeacherPredictions:
    """The ensemble's predictions of train: those out of fold where they are `known`, else new ones."""
    if set(train.image_ids) <= set(known.image_ids):
        return known.select(train.image_ids)
    inputs, n_classes = input_names(args.params), known.ensemble.shape[1]
    models = (
        (
            onnx_classifier.load_trained(args.models / name / "model.onnx", n_classes),
            Archive(args.photos / inputs[name]),
        )
        for name in teacher.names
    )
    return teacher.predict(train, models)


def main() -> None:
    """Read or make the ensemble's predictions, choose the photos, write."""
    args = arguments()
    teach = settings.read(args.params, "teach", TeachSettings)
    classes = class_list.read_classes(args.classes)
    splits, teacher = split_data.read(args.splits, classes), Teacher(args.models / "ensemble.json")
    if not splits["train"].image_ids:
        raise TableError(f"{args.splits}: expected photos with the split `train`, found none")
    known = teacher.read(args.predictions, classes)
    train = predict_train(args, teacher, known, splits["train"])
    new = teaching.without_copies(teacher.read(args.unlabelled, classes), splits)
    used = teaching.pseudo_labelled(new, teach)
    predictions.write(args.targets, teaching.targets(train, used, classes))
    held_out = split_data.held_out(splits, known.image_ids)
    scored = {name: (photos, known.select(photos.image_ids)) for name, photos in held_out.items()}
    details = {
        "train": teaching.describe_train(splits["train"], train),
        "unlabelled": teaching.describe_unlabelled(len(new.image_ids), used, classes),
        "pseudo_labels": {name: teaching.precision(*pair, teach) for name, pair in scored.items()},
    }
    atomic.write_json(args.details, details)
    progress.summary(
        "teach", train=len(train.image_ids), pseudo_labels=len(used.image_ids), unlabelled=len(new.image_ids)
    )


if __name__ == "__main__":
    command.run(main)
