"""What a model card says of a run, read from the files that the run wrote; what is missing is None."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from stages.core import json_file
from stages.report import confusions, counts
from stages.report.confusions import ConfusedPair
from stages.report.counts import Recall
from stages.report.report_data import ReportData, select_split
from stages.schemas.predictions import Predictions
from stages.scoring.paired import PairedDifference, paired_bootstrap
from stages.scoring.probabilities import MIN_PROBABILITY
from stages.scoring.scores import wilson

Json = dict[str, Any]


class CardMetrics(NamedTuple):
    """The figures of the stages, as they wrote them in metrics/; `models` by name; None for a file that is missing."""

    ingest: Json | None = None
    crop: Json | None = None
    mask: Json | None = None
    audit: Json | None = None
    ensemble: Json | None = None
    models: Mapping[str, Json | None] = {}

    @classmethod
    def read(cls, folder: Path, models: list[str]) -> "CardMetrics":
        """Read metrics/. Raises UserError for a damaged file."""
        stages = {name: _optional(folder / name / "details.json") for name in cls._fields if name != "models"}
        scores = {name: _optional(folder / "evaluate" / name / "details.json") for name in models}
        return cls(**stages, models=scores)


class Provenance(NamedTuple):
    """The commit, hashes and versions behind a run: `facts` of metrics/provenance.json, `packages` by name."""

    facts: Json
    packages: Mapping[str, str]


@dataclass(frozen=True)
class CardData:
    """The run: params.yaml as `settings`, `weights` by model, and its tables, where they are at hand.

    `splits` has the columns of data/splits.csv, `predicted` is the table of val and test: the ensemble's, or the
    student's where `is_student`, the only one of `weights` then.
    """

    settings: Mapping[str, Any]
    classes: list[str]
    weights: Mapping[str, float]
    temperature: float | None
    metrics: CardMetrics
    splits: pd.DataFrame | None = None
    predicted: Predictions | None = None
    provenance: Provenance | None = None
    is_student: bool = False

    @property
    def own_scores(self) -> Json:
        """The scores on test of what the card is of, the ensemble or the student; `n` is 0 where there are none."""
        scores = next(iter(self.metrics.models.values())) if self.is_student else self.metrics.ensemble
        return (scores or {}).get("test") or {"n": 0}


def of_report(data: ReportData, settings: Mapping[str, Any], metrics: Path) -> CardData:
    """What the card in the report says; provenance is recorded only after the report is written."""
    ensemble, classes = data.ensemble, data.predicted.classes
    figures = CardMetrics.read(metrics, sorted(ensemble["weights"]))
    temperature = ensemble.get("temperature")
    return CardData(settings, classes, ensemble["weights"], temperature, figures, data.rows, data.predicted)


class ClassRow(NamedTuple):
    """A class: its photos by split, its recall on test and the 95 % interval (None without test photos)."""

    label: str
    photos: dict[str, int]
    recall: Recall | None
    interval: tuple[float, float] | None


class TestFigures(NamedTuple):
    """What the ensemble's predictions on test add to its scores: classes, confused pairs, interval of the log loss."""

    recalls: dict[str, Recall]
    intervals: dict[str, tuple[float, float]]
    pairs: list[ConfusedPair]
    log_loss: PairedDifference


def test_figures(data: CardData) -> TestFigures | None:
    """The figures by class from the ensemble's predictions; None without them, or without test photos.

    Intervals count a group of near-duplicates as one photo.
    """
    if data.splits is None or data.predicted is None or select_split(data.splits, "test").empty:
        return None
    rows = counts.predicted_test_rows(data.splits, data.predicted)
    matrix = counts.confusion(rows, data.classes)
    recalls = {row.label: row for row in counts.recalls(matrix, data.classes)}
    groups = rows.groupby("label")["group"].nunique()
    intervals = {n: wilson(row.share, int(groups[n])) for n, row in recalls.items() if row.share is not None}
    losses = -np.log(np.maximum(rows["true_probability"].to_numpy(dtype=np.float64), MIN_PROBABILITY))
    log_loss = paired_bootstrap(losses, rows["group"].to_numpy())
    return TestFigures(recalls, intervals, confusions.confused_pairs(matrix, data.classes), log_loss)


def class_rows(data: CardData, figures: TestFigures | None) -> list[ClassRow]:
    """A row for each class, the least recall first; without predictions in the order of the classes."""
    if data.splits is None:
        return []
    photos = counts.per_class(data.splits, data.classes)
    by_label = {label: {str(split): int(n) for split, n in row.items()} for label, row in photos.iterrows()}
    if figures is None:
        return [ClassRow(label, by_label[label], None, None) for label in data.classes]
    ordered = confusions.worst_first([figures.recalls[label] for label in data.classes])
    return [ClassRow(row.label, by_label[row.label], row, figures.intervals.get(row.label)) for row in ordered]


def source_name(source: str) -> str:
    """A photo source without what lies around it: paths within the project whole, of others the last part only."""
    address = urlsplit(source)
    path = PurePosixPath(address.path.replace("\\", "/"))
    is_inside = not (address.scheme or address.netloc or path.is_absolute() or ".." in path.parts)
    return str(path) if is_inside else path.name or "not recorded"


def _optional(path: Path) -> Json | None:
    return json_file.read(path) if path.is_file() else None
