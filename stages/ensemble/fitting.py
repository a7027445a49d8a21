"""Blend the models by weights fitted on val, and compare the blend on test with simpler choices."""

import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from stages.core import settings, tables
from stages.ensemble import weighting
from stages.ensemble.settings import EnsembleSettings
from stages.ensemble.weighting import WeightedEnsemble
from stages.schemas import predictions
from stages.schemas.predictions import Predictions
from stages.schemas.split_data import SplitData
from stages.scoring import calibration, paired, scores
from stages.scoring.probabilities import log_loss

_FLOOR = 1e-12
_NEARLY = 1e-6


class StackedPredictions(NamedTuple):
    """The predictions of M models: `names`, `image_ids` (N,), `probabilities` (M, N, C), `classes`."""

    names: list[str]
    image_ids: list[str]
    probabilities: np.ndarray
    classes: list[str]

    def of(self, chosen: SplitData) -> np.ndarray:
        """Return the probabilities (M, K, C) of some of the photos, in their order."""
        place = {image_id: row for row, image_id in enumerate(self.image_ids)}
        return self.probabilities[:, [place[image_id] for image_id in chosen.image_ids]]


def stack(named: dict[str, Predictions], wanted_ids: list[str]) -> StackedPredictions:
    """Put the tables of all models on top of each other.

    Raises TableError unless each of them has exactly the photos `wanted_ids`, and all the same classes.
    """
    first = next(iter(named.values()))
    for name, table in named.items():
        if table.classes != first.classes:
            raise tables.TableError(f"{name}: expected the classes {first.classes}, found {table.classes}")
        strange = sorted(set(table.image_ids) ^ set(wanted_ids))
        if strange:
            raise tables.TableError(
                f"{name}: expected the {len(wanted_ids)} photos of val and test, found "
                f"{len(table.image_ids)}, and {strange[0]} on one side only; run `dvc repro evaluate`"
            )
    ids = sorted(wanted_ids)
    rows = [pd.DataFrame(t.probabilities, index=t.image_ids).loc[ids].to_numpy() for t in named.values()]
    return StackedPredictions(list(named), ids, np.stack(rows), first.classes)


class Fitted(NamedTuple):
    """The ensemble as fitted on val: the blend, the weights before shrinking, the share of equal ones mixed in."""

    mix: WeightedEnsemble
    weights: weighting.Weights
    shrink: float


def fit(stacked: StackedPredictions, val: SplitData, rule: EnsembleSettings) -> Fitted:
    """Fit the blend to the val photos, which may be none."""
    of_val = stacked.of(val)
    shrink = weighting.choose_shrinkage(of_val, val.labels, val.groups, rule)
    return Fitted(*weighting.fit(of_val, val.labels, rule, shrink), shrink)


def alternatives(stacked: StackedPredictions, val: SplitData, rule: EnsembleSettings) -> dict[str, WeightedEnsemble]:
    """The simpler blends to show beside the fitted one, each with a temperature of its own fitted on val.

    `equal_weights`; `best_single`, the model of the least log loss on val, if there is a val photo; `hand` if given.
    """
    n_models, of_val = len(stacked.names), stacked.of(val)
    weights = {"equal_weights": np.full(n_models, 1 / n_models)}
    if len(val.labels):
        best = int(np.argmin([log_loss(val.labels, rows) for rows in of_val]))
        weights["best_single"] = np.eye(n_models)[best]
    if rule.manual_weights is not None:
        weights["hand"] = weighting.manual_weights(rule.manual_weights, stacked.names)
    return {name: weighting.calibrate(values, of_val, val.labels, rule) for name, values in weights.items()}


def compare(
    stacked: StackedPredictions, splits: dict[str, SplitData], fitted: Fitted, rule: EnsembleSettings
) -> dict[str, Any]:
    """Score on test the fitted blend and the simpler ones; on val what fitting gains out of sample."""
    test, others = splits["test"], alternatives(stacked, splits["val"], rule)
    of_test = stacked.of(test)
    found: dict[str, Any] = {
        name: scores.summary(test.labels, mix(of_test), test.groups)
        for name, mix in {"test": fitted.mix, **others}.items()
    }
    if "best_single" in found:
        found["best_single"]["name"] = stacked.names[int(others["best_single"].weights.argmax())]
        if len(test.labels):
            found["gain"] = gain(fitted.mix(of_test), others["best_single"](of_test), test)
    if len(test.labels):
        untempered = fitted.mix._replace(temperature=1.0)(of_test)
        found["before_tempering"] = {
            "ece": calibration.expected_calibration_error(test.labels, untempered),
            "log_loss": log_loss(test.labels, untempered),
        }
    return found | {"val": out_of_sample(stacked.of(splits["val"]), splits["val"], fitted, rule)}


def gain(ensemble: np.ndarray, single: np.ndarray, test: SplitData) -> dict[str, float]:
    """What the ensemble has before the best single model on test, paired photo by photo, with 95 % intervals.

    `log_loss`, `low` and `high` are of its log loss, less being better; `accuracy` likewise, more being better.
    """
    rows, groups = np.arange(len(test.labels)), np.array(test.groups)
    losses = [-np.log(np.maximum(of[rows, test.labels], _FLOOR)) for of in (ensemble, single)]
    right = [(of.argmax(axis=1) == test.labels).astype(float) for of in (ensemble, single)]
    loss, accuracy = (paired.paired_bootstrap(pair[0] - pair[1], groups) for pair in (losses, right))
    found = {"log_loss": loss.mean, "low": loss.low, "high": loss.high}
    return found | {"accuracy": accuracy.mean, "accuracy_low": accuracy.low, "accuracy_high": accuracy.high}


def out_of_sample(of_val: np.ndarray, val: SplitData, fitted: Fitted, rule: EnsembleSettings) -> dict[str, Any]:
    """Accuracy and log loss on val, each photo under what the others of val fitted: for weights as they were
    fitted, shrunk, and equal. Nothing where there is too little to fit on.
    """
    if len(val.labels) < rule.min_val or len(set(val.groups)) < 2:
        return {"n": len(val.labels)}
    found: dict[str, Any] = {"n": len(val.labels)}
    for name, shrink in {"fitted": 0.0, "shrunk": fitted.shrink, "equal": 1.0}.items():
        rows = weighting.cross_fitted(of_val, val.labels, val.groups, rule, shrink)
        accuracy = float((rows.argmax(axis=1) == val.labels).mean())
        found[name] = {"accuracy": accuracy, "log_loss": log_loss(val.labels, rows)}
    return found


def submission(blended: Predictions, test: SplitData) -> pd.DataFrame:
    """Return one row per test photo: image_id, path, label and probability of the likeliest class, runner-up."""
    rows = {image_id: row for row, image_id in enumerate(blended.image_ids)}
    probabilities = blended.probabilities[[rows[image_id] for image_id in test.image_ids]]
    ranked = np.argsort(-probabilities, axis=1, kind="stable")
    names, numbers = np.array(blended.classes, dtype=object), np.arange(len(ranked))
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


def describe(stacked: StackedPredictions, fitted: Fitted) -> dict[str, Any]:
    """Return what applies the ensemble to new photos: weights and files (beside this record) by model, temperature."""
    return {
        "classes": stacked.classes,
        "weights": by_name(stacked, fitted.mix.weights),
        "temperature": fitted.mix.temperature,
        "files": {name: f"{name}/model.keras" for name in stacked.names},
        "reason": fitted.weights.reason,
    }


def by_name(stacked: StackedPredictions, weights: np.ndarray) -> dict[str, float]:
    """Return the weight of each model."""
    return dict(zip(stacked.names, weights.tolist()))


def facts(stacked: StackedPredictions, fitted: Fitted) -> dict[str, Any]:
    """Return how the blend was made: weights, the share of equal ones in them, temperature, proof of the optimum."""
    return {
        "weights": by_name(stacked, fitted.mix.weights),
        "fitted_weights": by_name(stacked, fitted.weights.values),
        "optimality_gap": fitted.weights.gap,
        "shrink": fitted.shrink,
        "temperature": fitted.mix.temperature,
    }


def read_models(params_path: Path, folder: Path, classes: list[str]) -> dict[str, Predictions]:
    """Read the table of every model that the parameters name, sorted by name."""
    names = settings.load(params_path).get("models") or {}
    if not names:
        raise settings.SettingsError(f"{params_path}: expected a model or more under `models`, found none")
    return {name: predictions.read(folder / f"{name}.csv", classes) for name in sorted(names)}


def warn_of_manual_weights(rule: EnsembleSettings) -> None:
    """Say so where weights given by hand do not sum to one: they are scaled until they do."""
    total = sum((rule.manual_weights or {"": 1.0}).values())
    if abs(total - 1) > _NEARLY:
        print(
            f"ensemble.manual_weights: expected weights that sum to one, found {total:g}; they are scaled",
            file=sys.stderr,
        )
