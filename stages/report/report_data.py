"""Everything that the stages wrote, read and checked together: what the report rests on."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from stages.core import tables
from stages.schemas import crops, curves, detections, issues, manifest, masks, model_inputs, predictions, thresholds
from stages.schemas.predictions import Predictions

CORNERS = ["x_min", "y_min", "x_max", "y_max"]
# The outcome of a photo that no stage refused anything of.
NOTHING_REJECTED = "nothing refused"
_THRESHOLDS = "crop/thresholds"
_RELIABILITY = {"confidence": "float", "accuracy": "float", "photos": "int", "model": "str"}


class Files(NamedTuple):
    """Where the tables are; `predictions` is the ensemble's table, `metrics` the folder of all metrics."""

    manifest: Path
    detections: Path
    boxes: Path
    masks: Path
    letterbox: Path
    predictions: Path
    suspects: Path
    metrics: Path


@dataclass(frozen=True)
class ReportData:
    """`rows`, one per input file, tells what every stage made of it; the rest is as the stages wrote it.

    Columns of `rows`: those of data/manifest.csv; `is_usable`, it is a photo; of the chosen box `is_cropped`,
    corners, `score`, `class_name`; `coverage`, `agreement`, `is_masked`, `mask_reason` of the mask; and as
    data/letterbox.csv ends it, `status`, `reason`, `file`; `outcome` is the reason of the last stage that refused
    something, or OK. `models` holds the metrics of each model, `probes` those of a linear classifier on its network
    before training, `curves` its training: a table with `step` and one value column for each of curves.FIGURES that was
    logged. `reliability` holds for each model accuracy against confidence on test. `suspects` are photos to look at,
    `audit` what was found weak. `rule` counts what the rule for the main car refused, `thresholds` holds a table for
    each of its thresholds.
    """

    rows: pd.DataFrame
    detections: pd.DataFrame
    predicted: Predictions
    ensemble: dict[str, Any]
    models: dict[str, dict[str, Any]]
    probes: dict[str, dict[str, Any]]
    suspects: pd.DataFrame
    audit: dict[str, Any]
    curves: dict[str, dict[str, pd.DataFrame]]
    reliability: dict[str, pd.DataFrame]
    rule: dict[str, Any]
    thresholds: dict[str, pd.DataFrame]


def read(files: Files, classes: list[str]) -> ReportData:
    """Read all tables and metrics. Raises TableError naming the file where one is missing or fits no other."""
    rows = _read_rows(files)
    predicted = predictions.read(files.predictions, classes)
    test_ids = of_split(rows, "test")["image_id"]
    tables.require(files.letterbox, test_ids.isin(predicted.image_ids), test_ids, f"an id of {files.predictions}")
    ensemble = _read_ensemble(files.metrics / "ensemble.json", len(test_ids))
    names = sorted(ensemble["weights"])
    return ReportData(
        rows=rows,
        detections=detections.read(files.detections),
        predicted=predicted,
        ensemble=ensemble,
        models={n: _read_json(files.metrics / "evaluate" / f"{n}.json", ("val", "test")) for n in names},
        probes={n: _read_json(files.metrics / "probe" / f"{n}.json", ("val", "test")) for n in names},
        suspects=issues.read(files.suspects),
        audit=_read_json(files.metrics / "audit.json", ("flags",)),
        rule=_read_json(files.metrics / "crop.json", ("by_class", "uneven")),
        thresholds={path.stem: thresholds.read(path) for path in sorted((files.metrics / _THRESHOLDS).glob("*.csv"))},
        reliability={n: tables.read(files.metrics / "evaluate" / n / "reliability.csv", _RELIABILITY) for n in names},
        curves={name: curves.read(files.metrics / "train" / name) for name in names},
    )


def of_split(rows: pd.DataFrame, split: str) -> pd.DataFrame:
    """The rows of `split` that reached the models."""
    return rows[(rows["split"] == split) & (rows["status"] == "ok")]


def _read_rows(files: Files) -> pd.DataFrame:
    photos, boxes = manifest.read(files.manifest), crops.read(files.boxes)
    masked, padded = masks.read(files.masks), model_inputs.read(files.letterbox)
    for path, table in ((files.boxes, boxes), (files.masks, masked), (files.letterbox, padded)):
        tables.require_same_rows(path, table, files.manifest, photos)
    rows = photos.assign(is_usable=photos["status"] == "ok", status=padded["status"], reason=padded["reason"])
    rows = rows.join(boxes[["is_cropped", *CORNERS, "score", "class_name"]])
    rows["is_cropped"] &= boxes["status"] == "ok"
    rows = rows.join(masked[["coverage", "agreement", "is_masked", "mask_reason"]]).join(padded["file"])
    outcome = rows["reason"].where(rows["reason"] != "", rows["mask_reason"])
    return rows.assign(outcome=outcome.where(outcome != "", NOTHING_REJECTED))


def _read_ensemble(path: Path, n_test: int) -> dict[str, Any]:
    ensemble = _read_json(path, ("test", "equal_weights", "weights", "fitted_weights", "shrink"))
    if ensemble["test"]["n"] != n_test:
        raise tables.TableError(
            f"{path}: expected figures of {n_test} test photos, found {ensemble['test']['n']}; run `dvc repro`"
        )
    return ensemble


def _read_json(path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise tables.TableError(f"{path}: expected metrics here, found none; run `dvc repro`") from None
    except json.JSONDecodeError as error:
        raise tables.TableError(f"{path}: expected JSON, found: {error}") from None
    missing = [key for key in keys if key not in content]
    if missing:
        raise tables.TableError(f"{path}: expected the key `{missing[0]}`, found {', '.join(content)}")
    return dict(content)
