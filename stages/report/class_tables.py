"""Tables and charts by class: of many classes the worst ones, with a count of the others."""

from collections.abc import Iterable
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import pandas as pd

from stages.report import charts, confusions, counts
from stages.report.counts import ClassRejections
from stages.report.report_data import ReportData

Row = TypeVar("Row")
# So many classes are shown whole; of more the worst ones.
MAX_CLASSES = 25
WORST = 20


class ShownRows(NamedTuple, Generic[Row]):
    """The rows of a table: the `first` are visible, the `rest` is folded."""

    first: list[Row]
    rest: list[Row]


class ClassPhotos(NamedTuple):
    """The numbers of photos of a class by split."""

    label: str
    train: int
    val: int
    test: int


def shown_rows(rows: Iterable[Row]) -> ShownRows[Row]:
    """Fold all but the first WORST rows, if there are more than MAX_CLASSES."""
    listed = list(rows)
    return ShownRows(listed, []) if len(listed) <= MAX_CLASSES else ShownRows(listed[:WORST], listed[WORST:])


def tables(data: ReportData, matrix: np.ndarray, n_test: int) -> dict[str, Any]:
    """What the page shows by class, from the confusion matrix `(C, C)` of `n_test` test photos."""
    classes = data.predicted.classes
    per_class = counts.per_class(data.rows, classes)
    recalls = confusions.worst_first(counts.recalls(matrix, classes)) if n_test else []
    return {
        "n_classes": len(classes),
        "class_chart": charts.per_class(_fewest(per_class)),
        "class_photos": _class_photos(per_class),
        "split_counts": per_class.sum().to_dict(),
        "confusion": _confusion(matrix, classes) if n_test else None,
        "recalls": shown_rows(recalls),
        "class_rejections": shown_rows(_most_rejected(counts.class_rejections(data.crop, classes))),
        "overrejected_classes": data.crop["overrejected_classes"],
    }


def _fewest(per_class: pd.DataFrame) -> pd.DataFrame:
    """The classes of the chart: of many, those with the fewest photos of train."""
    if len(per_class) <= MAX_CLASSES:
        return per_class
    return per_class.sort_values("train", kind="stable").head(WORST)


def _class_photos(per_class: pd.DataFrame) -> ShownRows[ClassPhotos]:
    """The table behind a chart that does not show all classes, all of it folded; empty where the chart does."""
    if len(per_class) <= MAX_CLASSES:
        return ShownRows([], [])
    ordered = per_class.sort_values("train", kind="stable")
    return ShownRows([], [ClassPhotos(str(n), row["train"], row["val"], row["test"]) for n, row in ordered.iterrows()])


def _confusion(matrix: np.ndarray, classes: list[str]) -> dict[str, Any]:
    """The chart of the confusion matrix; `n_shown` classes, `n_between` of `n_wrong` wrong predictions are in it."""
    wrong = matrix - np.diag(np.diag(matrix))
    pairs = confusions.confused_pairs(matrix, classes)
    names = set(classes) if len(classes) <= MAX_CLASSES else confusions.most_confused(pairs, WORST)
    places = [number for number, name in enumerate(classes) if name in names]
    part = np.ix_(places, places)
    return {
        "chart": charts.confusion(matrix[part], [classes[place] for place in places]) if places else "",
        "n_shown": len(places),
        "n_wrong": int(wrong.sum()),
        "n_between": int(wrong[part].sum()),
    }


def _most_rejected(rows: list[ClassRejections]) -> list[ClassRejections]:
    """The classes by the share of their photos that is rejected, the largest first."""
    return sorted(rows, key=lambda row: -row.rejected / max(row.photos, 1))
