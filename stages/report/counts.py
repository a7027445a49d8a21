"""Photos counted: at every stage, by class and split, and right or wrong by class."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from stages.report.report_data import of_split
from stages.schemas.manifest import SPLITS
from stages.schemas.predictions import Predictions


class Stage(NamedTuple):
    """How many files came through one step, and what that step asks."""

    name: str
    files: int
    meaning: str


def funnel(rows: pd.DataFrame, detections: pd.DataFrame) -> list[Stage]:
    """The number of files left after each step, in the order of the pipeline."""
    usable = rows[rows["is_usable"]]
    seen = int(usable["image_id"].isin(detections["image_id"]).sum())
    return [
        Stage("files", len(rows), "every file of the source"),
        Stage("usable", len(usable), "decoded, labelled, not a copy of another file"),
        Stage("with boxes", seen, "the detector found something, at whatever score"),
        Stage("cropped", int(rows["is_cropped"].sum()), "the rule chose a main car"),
        Stage("masked", int(rows["is_masked"].sum()), "the mask covers a believable share of the crop"),
        Stage("padded", int((rows["status"] == "ok").sum()), "reached the models, with or without crop and mask"),
    ]


def per_class(rows: pd.DataFrame, classes: list[str]) -> pd.DataFrame:
    """Photos that reached the models: one row per class in the order of `classes`, one column per split."""
    used = rows[rows["status"] == "ok"]
    counts = pd.crosstab(used["label"], used["split"])
    return counts.reindex(index=classes, columns=list(SPLITS), fill_value=0)


def judged_test_rows(rows: pd.DataFrame, predicted: Predictions) -> pd.DataFrame:
    """The test rows with `predicted`, the likeliest class, its `probability`, and `true_probability`.

    Equal probabilities go to the first class, as in the metrics.
    """
    test = of_split(rows, "test")
    place = {image_id: row for row, image_id in enumerate(predicted.image_ids)}
    probabilities = predicted.probabilities[[place[image_id] for image_id in test["image_id"]]]
    likeliest = probabilities.argmax(axis=1)
    number = {name: column for column, name in enumerate(predicted.classes)}
    truth = [number[label] for label in test["label"]]
    order = np.arange(len(test))
    return test.assign(
        predicted=[predicted.classes[column] for column in likeliest],
        probability=probabilities[order, likeliest],
        true_probability=probabilities[order, truth],
    )


def confusion(judged_rows: pd.DataFrame, classes: list[str]) -> np.ndarray:
    """Count test photos by true class (row) and predicted class (column): `(C, C)` int64."""
    table = pd.crosstab(judged_rows["label"], judged_rows["predicted"])
    return table.reindex(index=classes, columns=classes, fill_value=0).to_numpy(dtype=np.int64)


class Recall(NamedTuple):
    """One class on test: `right` of `total` photos, and the class that most of the others were taken for."""

    label: str
    right: int
    total: int
    mistaken_for: str
    times: int

    @property
    def share(self) -> float | None:
        """The recall, 0..1; None where the class has no test photo."""
        return self.right / self.total if self.total else None


def recalls(matrix: np.ndarray, classes: list[str]) -> list[Recall]:
    """The recall of each class from the confusion matrix `(C, C)`, in the order of `classes`."""
    wrong = matrix - np.diag(np.diag(matrix))
    found = []
    for label, right, row, others in zip(classes, np.diag(matrix), matrix, wrong):
        worst = int(others.argmax())
        times = int(others[worst])
        found.append(Recall(label, int(right), int(row.sum()), classes[worst] if times else "", times))
    return found


class ClassRejections(NamedTuple):
    """What the rule for the main car refused of one class: `refused` of `photos`, and the count of each reason."""

    label: str
    refused: int
    photos: int
    reasons: dict[str, int]


def class_rejections(rule: dict[str, Any], classes: list[str]) -> list[ClassRejections]:
    """The refused photos of each class from the metrics of the crop stage, in the order of `classes`."""
    by_class = rule["by_class"]
    found = [(name, by_class[name]) for name in classes if name in by_class]
    return [ClassRejections(name, of["refused"], of["photos"], of["reason"]) for name, of in found]


def shapes(rows: pd.DataFrame) -> list[tuple[str, pd.Series, str, str]]:
    """Distributions over the photos: a name, the values, what they are, and their unit."""
    usable, cropped = rows[rows["is_usable"]], rows[rows["is_cropped"]]
    width, height = cropped["x_max"] - cropped["x_min"], cropped["y_max"] - cropped["y_min"]
    megapixels = usable["width"] * usable["height"] / 1e6
    share = width * height / (cropped["width"] * cropped["height"])
    return [
        ("size", megapixels, "size of the photo", "megapixels"),
        ("photo-aspect", usable["width"] / usable["height"], "shape of the photo", "width / height"),
        ("share", share, "chosen box", "share of the photo, 0 to 1"),
        ("aspect", width / height, "shape of the chosen box", "width / height"),
        ("coverage", rows["coverage"], "mask", "share of the crop, 0 to 1"),
        ("agreement", rows["agreement"], "agreement of the segmenters", "mean IoU, 0 to 1"),
    ]
