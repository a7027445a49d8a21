"""Blend the models by weights fitted on val, and compare the blend on test with simpler choices."""

import argparse
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from stages.learning import blend, calibration, photos, scores
from stages.learning.blend import EnsembleParams, Mix
from stages.learning.photos import Photos
from stages.learning.probabilities import log_loss
from stages.records import atomic, command, params, predictions, progress, tables
from stages.records.predictions import Predictions
from stages.reporting import paired

_FLOOR = 1e-12
_NEARLY = 1e-6


class Tables(NamedTuple):
    """The predictions of M models: `names`, `image_ids` (N,), `probabilities` (M, N, C), `classes`."""

    names: list[str]
    image_ids: list[str]
    probabilities: np.ndarray
    classes: list[str]

    def of(self, chosen: Photos) -> np.ndarray:
        """Return the probabilities (M, K, C) of some of the photos, in their order."""
        place = {image_id: row for row, image_id in enumerate(self.image_ids)}
        return self.probabilities[:, [place[image_id] for image_id in chosen.image_ids]]


def stack(named: dict[str, Predictions], wanted_ids: list[str]) -> Tables:
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
    return Tables(list(named), ids, np.stack(rows), first.classes)


class Fitted(NamedTuple):
    """The ensemble as fitted on val: the blend, the weights before shrinking, the share of equal ones mixed in."""

    mix: Mix
    weights: blend.Weights
    shrink: float


def fit(stacked: Tables, val: Photos, rule: EnsembleParams) -> Fitted:
    """Fit the blend to the val photos, which may be none."""
    of_val = stacked.of(val)
    shrink = blend.choose_shrink(of_val, val.labels, val.groups, rule)
    return Fitted(*blend.fit(of_val, val.labels, rule, shrink), shrink)


def alternatives(stacked: Tables, val: Photos, rule: EnsembleParams) -> dict[str, Mix]:
    """The simpler blends to show beside the fitted one, each with a temperature of its own fitted on val.

    `equal_weights`; `best_single`, the model of the least log loss on val, if there is a val photo; `hand` if given.
    """
    n_models, of_val = len(stacked.names), stacked.of(val)
    weights = {"equal_weights": np.full(n_models, 1 / n_models)}
    if len(val.labels):
        best = int(np.argmin([log_loss(val.labels, rows) for rows in of_val]))
        weights["best_single"] = np.eye(n_models)[best]
    if rule.hand is not None:
        weights["hand"] = blend.by_hand(rule.hand, stacked.names)
    return {name: blend.temper(values, of_val, val.labels, rule) for name, values in weights.items()}


def compare(stacked: Tables, splits: dict[str, Photos], fitted: Fitted, rule: EnsembleParams) -> dict[str, Any]:
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
            "ece": calibration.expected_error(test.labels, untempered),
            "log_loss": log_loss(test.labels, untempered),
        }
    return found | {"val": out_of_sample(stacked.of(splits["val"]), splits["val"], fitted, rule)}


def gain(ensemble: np.ndarray, single: np.ndarray, test: Photos) -> dict[str, float]:
    """What the ensemble has before the best single model on test, paired photo by photo, with 95 % intervals.

    `log_loss`, `low` and `high` are of its log loss, less being better; `accuracy` likewise, more being better.
    """
    rows, groups = np.arange(len(test.labels)), np.array(test.groups)
    losses = [-np.log(np.maximum(of[rows, test.labels], _FLOOR)) for of in (ensemble, single)]
    right = [(of.argmax(axis=1) == test.labels).astype(float) for of in (ensemble, single)]
    loss, accuracy = (paired.gap(pair[0] - pair[1], groups) for pair in (losses, right))
    found = {"log_loss": loss.mean, "low": loss.low, "high": loss.high}
    return found | {"accuracy": accuracy.mean, "accuracy_low": accuracy.low, "accuracy_high": accuracy.high}


def out_of_sample(of_val: np.ndarray, val: Photos, fitted: Fitted, rule: EnsembleParams) -> dict[str, Any]:
    """Accuracy and log loss on val, each photo under what the others of val fitted: for weights as they were
    fitted, shrunk, and equal. Nothing where there is too little to fit on.
    """
    if len(val.labels) < rule.min_val or len(set(val.groups)) < 2:
        return {"n": len(val.labels)}
    found: dict[str, Any] = {"n": len(val.labels)}
    for name, shrink in {"fitted": 0.0, "shrunk": fitted.shrink, "equal": 1.0}.items():
        rows = blend.cross_fitted(of_val, val.labels, val.groups, rule, shrink)
        accuracy = float((rows.argmax(axis=1) == val.labels).mean())
        found[name] = {"accuracy": accuracy, "log_loss": log_loss(val.labels, rows)}
    return found


def submission(blended: Predictions, test: Photos) -> pd.DataFrame:
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


def describe(stacked: Tables, fitted: Fitted) -> dict[str, Any]:
    """Return what applies the ensemble to new photos: weights and files (beside this record) by model, temperature."""
    return {
        "classes": stacked.classes,
        "weights": by_name(stacked, fitted.mix.weights),
        "temperature": fitted.mix.temperature,
        "files": {name: f"{name}/model.keras" for name in stacked.names},
        "reason": fitted.weights.reason,
    }


def by_name(stacked: Tables, weights: np.ndarray) -> dict[str, float]:
    """Return the weight of each model."""
    return dict(zip(stacked.names, weights.tolist()))


def facts(stacked: Tables, fitted: Fitted) -> dict[str, Any]:
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
    names = params.load(params_path).get("models") or {}
    if not names:
        raise params.ParamError(f"{params_path}: expected a model or more under `models`, found none")
    return {name: predictions.read(folder / f"{name}.csv", classes) for name in sorted(names)}


def warn_of_hand(rule: EnsembleParams) -> None:
    """Say so where weights given by hand do not sum to one: they are scaled until they do."""
    total = sum((rule.hand or {"": 1.0}).values())
    if abs(total - 1) > _NEARLY:
        print(f"ensemble.hand: expected weights that sum to one, found {total:g}; they are scaled", file=sys.stderr)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "table", "classes", "predictions", "ensemble", "metrics", "blended", "submission"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


def main() -> None:
    """Parse, load, fit, compare, write."""
    args = arguments()
    rule = params.read(args.params, "ensemble", EnsembleParams)
    classes = photos.read_classes(args.classes)
    splits = photos.read(args.table, classes)
    val, test = splits["val"], splits["test"]
    stacked = stack(read_models(args.params, args.predictions, classes), val.image_ids + test.image_ids)
    warn_of_hand(rule)
    fitted = fit(stacked, val, rule)
    mixed = Predictions(stacked.image_ids, fitted.mix(stacked.probabilities), classes)
    predictions.write(args.blended, mixed)
    tables.write(args.submission, submission(mixed, test))
    atomic.write_json(args.ensemble, describe(stacked, fitted))
    atomic.write_json(args.metrics, compare(stacked, splits, fitted, rule) | facts(stacked, fitted))
    progress.summary("ensemble", models=len(stacked.names), val=len(val.labels), test=len(test.labels))


if __name__ == "__main__":
    command.run(main)
