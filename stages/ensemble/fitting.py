"""Fit the ensemble on val and compare it on test with equal weights, manual weights and the best single model."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from stages.core import settings
from stages.core.errors import TableError
from stages.ensemble import selective, weighting
from stages.ensemble.settings import EnsembleSettings
from stages.schemas import predictions, split_data
from stages.schemas.predictions import Predictions
from stages.schemas.split_data import SplitData
from stages.scoring import calibration, paired, scores
from stages.scoring.probabilities import log_loss
from stages.scoring.weighted_ensemble import WeightedEnsemble

_SUM_TOLERANCE = 1e-6
# Cross-fitting needs something to fit on, and something to predict.
_LEAST_GROUPS = 2


class StackedPredictions(NamedTuple):
    """The predictions of M models: `names`, `image_ids` (N,), `probabilities` (M, N, C), `classes`."""

    names: list[str]
    image_ids: list[str]
    probabilities: np.ndarray
    classes: list[str]

    def select(self, split: SplitData) -> np.ndarray:
        """Return the probabilities (M, K, C) of the photos of a split, in their order."""
        place = {image_id: row for row, image_id in enumerate(self.image_ids)}
        return self.probabilities[:, [place[image_id] for image_id in split.image_ids]]


def stack_held_out(
    by_model: dict[str, Predictions], splits: dict[str, SplitData]
) -> tuple[StackedPredictions, dict[str, SplitData]]:
    """Stack the out-of-sample predictions of all models; also return `val` and `test`, the photos that they are of.

    With `train.folds`, `val` is all photos outside test. Raises TableError as `stack` does.
    """
    predicted = [image_id for table in by_model.values() for image_id in table.image_ids]
    held_out = split_data.held_out(splits, predicted)
    return stack(by_model, held_out["val"].image_ids + held_out["test"].image_ids), held_out


def stack(by_model: dict[str, Predictions], image_ids: list[str], source: str = "val and test") -> StackedPredictions:
    """Stack the tables of all models, their rows sorted by id.

    Raises TableError unless each of them has exactly the photos `image_ids` of `source`, and all have the same classes.
    """
    first = next(iter(by_model.values()))
    for name, table in by_model.items():
        if table.classes != first.classes:
            raise TableError(f"{name}: expected the classes {first.classes}, found {table.classes}")
        different = sorted(set(table.image_ids) ^ set(image_ids))
        if different:
            raise TableError(
                f"{name}: expected the {len(image_ids)} photos of {source}, found "
                f"{len(table.image_ids)}, and {different[0]} on one side only; run `dvc repro evaluate`"
            )
    ids = sorted(image_ids)
    rows = [pd.DataFrame(t.probabilities, index=t.image_ids).loc[ids].to_numpy() for t in by_model.values()]
    return StackedPredictions(list(by_model), ids, np.stack(rows), first.classes)


class FittedEnsemble(NamedTuple):
    """The ensemble fitted on val, the weights before shrinkage, and the share of equal weights mixed in, 0..1."""

    ensemble: WeightedEnsemble
    weights: weighting.Weights
    shrinkage: float


def fit(stacked: StackedPredictions, val: SplitData, rule: EnsembleSettings) -> FittedEnsemble:
    """Fit the ensemble to the photos of val, which may be empty."""
    val_probabilities = stacked.select(val)
    shrinkage = weighting.choose_shrinkage(val_probabilities, val.labels, val.groups, rule)
    return FittedEnsemble(*weighting.fit(val_probabilities, val.labels, rule, shrinkage), shrinkage)


def alternatives(stacked: StackedPredictions, val: SplitData, rule: EnsembleSettings) -> dict[str, WeightedEnsemble]:
    """The simpler ensembles to compare with, each with its own temperature fitted on val.

    `equal_weights`; `best_single`, the model of the least log loss on val, unless val is empty; `manual_weights`, if
    the settings give them.
    """
    n_models, val_probabilities = len(stacked.names), stacked.select(val)
    weights = {"equal_weights": np.full(n_models, 1 / n_models)}
    if len(val.labels):
        best = int(np.argmin([log_loss(val.labels, rows) for rows in val_probabilities]))
        weights["best_single"] = np.eye(n_models)[best]
    if rule.manual_weights is not None:
        weights["manual_weights"] = weighting.manual_weights(rule.manual_weights, stacked.names)
    return {name: weighting.calibrate(values, val_probabilities, val.labels, rule) for name, values in weights.items()}


def compare(
    stacked: StackedPredictions, splits: dict[str, SplitData], fitted: FittedEnsemble, rule: EnsembleSettings
) -> dict[str, Any]:
    """Score the fitted ensemble and the simpler ones on test, and the fitted one out of sample on val."""
    test, others = splits["test"], alternatives(stacked, splits["val"], rule)
    test_probabilities = stacked.select(test)
    details: dict[str, Any] = {
        name: scores.summary(test.labels, ensemble(test_probabilities), test.groups)
        for name, ensemble in {"test": fitted.ensemble, **others}.items()
    }
    if "best_single" in details:
        details["best_single"]["name"] = stacked.names[int(others["best_single"].weights.argmax())]
        if len(test.labels):
            pair = fitted.ensemble(test_probabilities), others["best_single"](test_probabilities)
            details["gain"] = paired.paired_gain(*pair, test.labels, test.groups)
    if len(test.labels):
        uncalibrated = fitted.ensemble._replace(temperature=1.0)(test_probabilities)
        details["uncalibrated"] = {
            "ece": calibration.expected_calibration_error(test.labels, uncalibrated),
            "log_loss": log_loss(test.labels, uncalibrated),
        }
    return details | {"val": out_of_sample(stacked.select(splits["val"]), splits["val"], fitted, rule)}


def ranked_predictions(
    stacked: StackedPredictions, splits: dict[str, SplitData], fitted: FittedEnsemble, rule: EnsembleSettings
) -> dict[str, selective.RankedPredictions]:
    """The ensemble's predicted for `val`, by weights and a temperature fitted without each photo, and for `test`."""
    val, test = splits["val"], splits["test"]
    rows = stacked.select(val)
    if len(set(val.groups)) >= _LEAST_GROUPS:
        val_rows = weighting.cross_fitted(rows, val.labels, val.groups, rule, fitted.shrinkage)
    else:
        val_rows = fitted.ensemble(rows)
    by_split = {"val": (val, val_rows), "test": (test, fitted.ensemble(stacked.select(test)))}
    return {
        name: selective.RankedPredictions.of(split.labels, probabilities, split.groups)
        for name, (split, probabilities) in by_split.items()
    }


def out_of_sample(
    probabilities: np.ndarray, val: SplitData, fitted: FittedEnsemble, rule: EnsembleSettings
) -> dict[str, Any]:
    """Cross-fitted accuracy and log loss on val for weights as `fitted`, with the chosen `shrinkage`, and `equal`.

    Only the number of photos where there are too few to fit.
    """
    if len(val.labels) < rule.min_val or len(set(val.groups)) < _LEAST_GROUPS:
        return {"n": len(val.labels)}
    figures: dict[str, Any] = {"n": len(val.labels)}
    for name, share in {"fitted": 0.0, "shrinkage": fitted.shrinkage, "equal": 1.0}.items():
        rows = weighting.cross_fitted(probabilities, val.labels, val.groups, rule, share)
        accuracy = float((rows.argmax(axis=1) == val.labels).mean())
        figures[name] = {"accuracy": accuracy, "log_loss": log_loss(val.labels, rows)}
    return figures


def compared(details: dict[str, Any]) -> dict[str, dict[str, float]]:
    """The figures that DVC compares between experiments, by file; empty where val or test is.

    `ensemble` on test, `best_single` on test, `gain` of the ensemble over it with the interval of accuracy, `weights`.
    """
    test = details["test"] | {"low": details["test"].get("accuracy_low"), "high": details["test"].get("accuracy_high")}
    gained = details.get("gain", {})
    gained = gained | {"low": gained.get("accuracy_low"), "high": gained.get("accuracy_high")}
    return {
        "ensemble": _select(test, ("n", "accuracy", "low", "high", "log_loss", "ece", "macro_f1")),
        "best_single": _select(details.get("best_single", {}), ("accuracy", "log_loss")),
        "gain": _select(gained, ("accuracy", "low", "high", "log_loss")),
        "weights": details["weights"],
    }


def _select(figures: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: figures[name] for name in names if figures.get(name) is not None}


def predict(by_model: dict[str, Predictions], ensemble: WeightedEnsemble) -> Predictions:
    """The ensemble's predictions of photos that every model has predicted. Raises TableError if their ids differ."""
    stacked = stack(by_model, next(iter(by_model.values())).image_ids, "ingest.unlabelled")
    return Predictions(stacked.image_ids, ensemble(stacked.probabilities), stacked.classes)


def test_predictions(predicted: Predictions, test: SplitData) -> pd.DataFrame:
    """Return a row per test photo: image_id, path, label and probability of the likeliest class and the runner-up."""
    rows = {image_id: row for row, image_id in enumerate(predicted.image_ids)}
    probabilities = predicted.probabilities[[rows[image_id] for image_id in test.image_ids]]
    ranked = np.argsort(-probabilities, axis=1, kind="stable")
    names, numbers = np.array(predicted.classes, dtype=object), np.arange(len(ranked))
    return pd.DataFrame(
        {
            "image_id": test.image_ids,
            "path": test.sources,
            "label": names[ranked[:, 0]],
            "probability": probabilities[numbers, ranked[:, 0]],
            "second_label": names[ranked[:, 1]],
            "second_probability": probabilities[numbers, ranked[:, 1]],
        }
    )


def describe(stacked: StackedPredictions, fitted: FittedEnsemble) -> dict[str, Any]:
    """Return the content of models/ensemble.json: classes, temperature, weight and file (relative to it) by model."""
    return {
        "classes": stacked.classes,
        "weights": by_name(stacked, fitted.ensemble.weights),
        "temperature": fitted.ensemble.temperature,
        "files": {name: f"{name}/model.onnx" for name in stacked.names},
        "reason": fitted.weights.reason,
    }


def by_name(stacked: StackedPredictions, weights: np.ndarray) -> dict[str, float]:
    """Return the weight of each model."""
    return dict(zip(stacked.names, weights.tolist()))


def fit_details(stacked: StackedPredictions, fitted: FittedEnsemble) -> dict[str, Any]:
    """Return weights before and after shrinkage, shrinkage, temperature, and the bound of the solver's error."""
    return {
        "weights": by_name(stacked, fitted.ensemble.weights),
        "fitted_weights": by_name(stacked, fitted.weights.values),
        "optimality_gap": fitted.weights.gap,
        "shrinkage": fitted.shrinkage,
        "temperature": fitted.ensemble.temperature,
    }


def model_names(params_path: Path) -> list[str]:
    """Return the names under `models` of params.yaml, sorted. Raises SettingsError if there is none."""
    names = settings.load(params_path).get("models") or {}
    if not names:
        raise settings.SettingsError(f"{params_path}: expected a model or more under `models`, found none")
    return sorted(names)


def read_models(params_path: Path, folder: Path, classes: list[str]) -> dict[str, Predictions]:
    """Read the predictions of every model of params.yaml, sorted by name."""
    return {name: predictions.read(folder / f"{name}.csv", classes) for name in model_names(params_path)}


def warn_of_manual_weights(rule: EnsembleSettings) -> None:
    """Print a warning if the manual weights do not sum to 1: they are scaled."""
    total = sum((rule.manual_weights or {"": 1.0}).values())
    if abs(total - 1) > _SUM_TOLERANCE:
        print(
            f"ensemble.manual_weights: expected weights that sum to one, found {total:g}; they are scaled",
            file=sys.stderr,
        )
