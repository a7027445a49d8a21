"""The content of the report: the tables and figures of all stages, read and checked against each other."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from stages.core import tables
from stages.core.errors import TableError
from stages.schemas import (
    advice,
    corrections,
    crops,
    curves,
    detections,
    feature_map,
    issues,
    manifest,
    masks,
    predictions,
    split_table,
    thresholds,
)
from stages.schemas.advice import Advice
from stages.schemas.predictions import Predictions

CORNERS = ["x_min", "y_min", "x_max", "y_max"]
# The outcome of a photo whose crop and mask are used.
NOT_REJECTED = "not rejected"
_THRESHOLDS = "crop/thresholds"
_LEAKS = dict.fromkeys(("group", "split", "path", "label"), "str")
_RISK_COVERAGE = {"threshold": "float", "coverage": "float", "risk": "float", "split": "str"}
_RELIABILITY = {"confidence": "float", "accuracy": "float", "photos": "int", "model": "str"}


class Files(NamedTuple):
    """The paths of all tables; `predictions` is the ensemble's table; metrics/ and data/probes are folders."""

    manifest: Path
    detections: Path
    boxes: Path
    masks: Path
    splits: Path
    predictions: Path
    issues: Path
    corrections: Path
    metrics: Path
    probes: Path


@dataclass(frozen=True)
class ReportData:
    """All that the page shows, as the stages wrote it; `rows` joins their tables, one row per input file.

    Columns of `rows`: those of data/manifest.csv; `is_usable`, whether the file is a usable photo; `is_cropped`, the
    corners, `score` and `class_name` of the chosen box; `coverage`, `agreement`, `is_masked`, `mask_reason`
    of the mask; `status` and `reason` of data/splits.csv; `outcome`, the last reason or NOT_REJECTED.

    By model: `models` holds the scores, `probes` those of its linear probe, `curves` its training curves (a table with
    `step` and a value for each of curves.FIGURES that was logged), `reliability` its bins of confidence on test.
    `risk_coverage` is the curve of the ensemble on val and on test.
    `leaks` are the photos of groups that straddle given splits, `ingest` the counts of ingest. `issues` are label
    issues and outliers, `decisions` those of people, `audit` the flags, `crop` the rejections by class, `thresholds` a
    table for each threshold of the rule for the main car, `advice` what linear probes say of inputs and backbones, None
    where nobody asked, or where it is about other photos. `places` are those of photos on the map of `map_model`, the
    largest weight.
    """

    rows: pd.DataFrame
    detections: pd.DataFrame
    predicted: Predictions
    ensemble: dict[str, Any]
    risk_coverage: pd.DataFrame
    models: dict[str, dict[str, Any]]
    probes: dict[str, dict[str, Any]]
    leaks: pd.DataFrame
    ingest: dict[str, Any]
    issues: pd.DataFrame
    decisions: pd.DataFrame
    audit: dict[str, Any]
    curves: dict[str, dict[str, pd.DataFrame]]
    reliability: dict[str, pd.DataFrame]
    crop: dict[str, Any]
    thresholds: dict[str, pd.DataFrame]
    advice: Advice | None
    map_model: str
    places: pd.DataFrame


def read(files: Files, classes: list[str]) -> ReportData:
    """Read all tables and figures. Raises TableError naming a file that is missing or does not match the others."""
    rows = _read_rows(files)
    predicted = predictions.read(files.predictions, classes)
    test_ids = select_split(rows, "test")["image_id"]
    tables.require(files.splits, test_ids.isin(predicted.image_ids), test_ids, f"an id of {files.predictions}")
    ensemble = _read_ensemble(files.metrics / "ensemble" / "details.json", len(test_ids))
    names = sorted(ensemble["weights"])
    heaviest = max(names, key=lambda name: ensemble["weights"][name])
    return ReportData(
        rows=rows,
        detections=_with_annotated(detections.read(files.detections), rows),
        predicted=predicted,
        ensemble=ensemble,
        risk_coverage=tables.read(files.metrics / "ensemble" / "risk_coverage.csv", _RISK_COVERAGE),
        models={n: _read_json(files.metrics / "evaluate" / n / "details.json", ("val", "test")) for n in names},
        probes={n: _read_json(files.metrics / "probe" / f"{n}.json", ("val", "test")) for n in names},
        leaks=tables.read(files.metrics / "ingest" / "leaks.csv", _LEAKS),
        ingest=_read_json(
            files.metrics / "ingest" / "details.json", ("split_by", "near_duplicate_groups", "in_given_groups")
        ),
        issues=issues.read(files.issues),
        decisions=corrections.read(files.corrections),
        audit=_read_json(files.metrics / "audit" / "details.json", ("flags", "expected_wrong")),
        crop=_read_json(files.metrics / "crop" / "details.json", ("by_class", "overrejected_classes")),
        thresholds={path.stem: thresholds.read(path) for path in sorted((files.metrics / _THRESHOLDS).glob("*.csv"))},
        advice=advice.read(files.metrics / "advice.json", files.splits),
        reliability={n: tables.read(files.metrics / "evaluate" / n / "reliability.csv", _RELIABILITY) for n in names},
        curves={name: curves.read(files.metrics / "train" / name) for name in names},
        map_model=heaviest,
        places=feature_map.read(files.probes / f"{heaviest}_map.csv"),
    )


def _with_annotated(detected: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Add the annotated and reviewed boxes, which stand in place of detections."""
    annotated = rows[rows["is_cropped"] & rows["class_name"].isin([crops.ANNOTATED, crops.REVIEWED])]
    return pd.concat([detected, annotated[list(detections.COLUMNS)]], ignore_index=True) if len(annotated) else detected


def select_split(rows: pd.DataFrame, split: str) -> pd.DataFrame:
    """The rows of `split` that reached the models."""
    return rows[(rows["split"] == split) & (rows["status"] == "ok")]


def _read_rows(files: Files) -> pd.DataFrame:
    photos, boxes = manifest.read(files.manifest), crops.read(files.boxes)
    mask_rows, splits = masks.read(files.masks), split_table.read(files.splits)
    for path, table in ((files.boxes, boxes), (files.masks, mask_rows), (files.splits, splits)):
        tables.require_same_rows(path, table, files.manifest, photos)
    rows = photos.drop(columns=CORNERS).assign(
        is_usable=photos["status"] == "ok", status=splits["status"], reason=splits["reason"]
    )
    rows = rows.join(boxes[["is_cropped", *CORNERS, "score", "class_name"]])
    rows["is_cropped"] &= boxes["status"] == "ok"
    rows = rows.join(mask_rows[["coverage", "agreement", "is_masked", "mask_reason"]])
    outcome = rows["reason"].where(rows["reason"] != "", rows["mask_reason"])
    return rows.assign(outcome=outcome.where(outcome != "", NOT_REJECTED))


def _read_ensemble(path: Path, n_test: int) -> dict[str, Any]:
    ensemble = _read_json(
        path, ("test", "equal_weights", "weights", "fitted_weights", "shrinkage", "fitted_on", "selective")
    )
    if ensemble["test"]["n"] != n_test:
        raise TableError(
            f"{path}: expected scores of {n_test} test photos, found {ensemble['test']['n']}; run `dvc repro`"
        )
    return ensemble


def _read_json(path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TableError(f"{path}: expected metrics here, found none; run `dvc repro`") from None
    except json.JSONDecodeError as error:
        raise TableError(f"{path}: expected JSON, found: {error}") from None
    missing = [key for key in keys if key not in content]
    if missing:
        raise TableError(f"{path}: expected the key `{missing[0]}`, found {', '.join(content)}")
    return dict(content)
