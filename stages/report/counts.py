"""Counts of photos: after each stage, by class and split, and of correct and wrong predictions by class."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from stages.report.report_data import select_split
from stages.schemas.manifest import SPLITS
from stages.schemas.predictions import Predictions


class Stage(NamedTuple):
    """The number of files left after one stage, and what it means."""

    name: str
    files: int
    meaning: str


def funnel(rows: pd.DataFrame, detections: pd.DataFrame) -> list[Stage]:
    """The number of files left after each stage, in the order of the pipeline."""
    usable = rows[rows["is_usable"]]
    with_boxes = int(usable["image_id"].isin(detections["image_id"]).sum())
    return [
        Stage("files", len(rows), "every file of the source"),
        Stage("usable", len(usable), "decoded, labelled, not a copy of another file"),
        Stage("with boxes", with_boxes, "at least one detected object, at any score"),
        Stage("cropped", int(rows["is_cropped"].sum()), "the rule selected a main car"),
        Stage("masked", int(rows["is_masked"].sum()), "the mask is used"),
        Stage("model inputs", int((rows["status"] == "ok").sum()), "reached the models, cropped and masked or not"),
    ]


def per_class(rows: pd.DataFrame, classes: list[str]) -> pd.DataFrame:
    """Counts of model inputs: one row per class in the order of `classes`, one column per split."""
    used = rows[rows["status"] == "ok"]
    counts = pd.crosstab(used["label"], used["split"])
    return counts.reindex(index=classes, columns=list(SPLITS), fill_value=0)


def predicted_test_rows(rows: pd.DataFrame, predicted: Predictions) -> pd.DataFrame:
    """The test rows with the `predicted` class, its `probability`, and the `true_probability` of the label.

    Of equal probabilities the first class is predicted, as in the scores.
    """
    test = select_split(rows, "test")
    place = {image_id: row for row, image_id in enumerate(predicted.image_ids)}
    probabilities = predicted.probabilities[[place[image_id] for image_id in test["image_id"]]]
    columns = probabilities.argmax(axis=1)
    number = {name: column for column, name in enumerate(predicted.classes)}
    true_columns = [number[label] for label in test["label"]]
    order = np.arange(len(test))
    return test.assign(
        predicted=[predicted.classes[column] for column in columns],
        probability=probabilities[order, columns],
        true_probability=probabilities[order, true_columns],
    )


def confusion(predicted_rows: pd.DataFrame, classes: list[str]) -> np.ndarray:
    """Count test photos by true class (row) and predicted class (column): `(C, C)` int64."""
    table = pd.crosstab(predicted_rows["label"], predicted_rows["predicted"])
    return table.reindex(index=classes, columns=classes, fill_value=0).to_numpy(dtype=np.int64)


class Recall(NamedTuple):
    """Recall of a class on test: `correct` of `total` photos; the most frequent wrong class and how many `times`."""

    label: str
    correct: int
    total: int
    mistaken_for: str
    times: int

    @property
    def share(self) -> float | None:
        """The recall, 0..1; None where the class has no test photo."""
        return self.correct / self.total if self.total else None


def recalls(matrix: np.ndarray, classes: list[str]) -> list[Recall]:
    """The recall of each class from the confusion matrix `(C, C)`, in the order of `classes`."""
    wrong = matrix - np.diag(np.diag(matrix))
    rows = []
    for label, correct, row, others in zip(classes, np.diag(matrix), matrix, wrong):
        worst = int(others.argmax())
        times = int(others[worst])
        rows.append(Recall(label, int(correct), int(row.sum()), classes[worst] if times else "", times))
    return rows


class ClassRejections(NamedTuple):
    """Photos of one class that the rule for the main car rejects: `rejected` of `photos`, and the count by reason."""

    label: str
    rejected: int
    photos: int
    reasons: dict[str, int]


def class_rejections(crop: dict[str, Any], classes: list[str]) -> list[ClassRejections]:
    """The rejections of each class from the details of the crop stage, in the order of `classes`."""
    counts = [(name, crop["by_class"][name]) for name in classes if name in crop["by_class"]]
    return [ClassRejections(name, count["rejected"], count["photos"], count["reason"]) for name, count in counts]


def shapes(rows: pd.DataFrame) -> list[tuple[str, pd.Series, str, str]]:
    """Distributions over the photos: a name, the values, a label and the unit.

    The agreement of segmenters is one of them only where there are several segmenters.
    """
    usable, cropped = rows[rows["is_usable"]], rows[rows["is_cropped"]]
    width, height = cropped["x_max"] - cropped["x_min"], cropped["y_max"] - cropped["y_min"]
    megapixels = usable["width"] * usable["height"] / 1e6
    share = width * height / (cropped["width"] * cropped["height"])
    distributions = [
        ("size", megapixels, "size of the photo", "megapixels"),
        ("photo-aspect", usable["width"] / usable["height"], "aspect ratio of the photo", "width / height"),
        ("share", share, "area of the chosen box", "share of the photo, 0 to 1"),
        ("aspect", width / height, "aspect ratio of the chosen box", "width / height"),
        ("coverage", rows["coverage"], "area of the mask", "share of the crop, 0 to 1"),
    ]
    agreement = ("agreement", rows["agreement"], "agreement of the segmenters", "mean IoU, 0 to 1")
    return [*distributions, *([agreement] if agreement[1].notna().any() else [])]
