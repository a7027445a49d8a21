"""Blend the models by weights fitted on val, and compare the blend on test with simpler choices."""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from stages.learning import blend, photos, scores
from stages.learning.blend import EnsembleParams
from stages.learning.photos import Photos
from stages.records import atomic, params, predictions, progress, tables
from stages.records.predictions import Predictions


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


def compare(stacked: Tables, splits: dict[str, Photos], weights: np.ndarray) -> dict[str, Any]:
    """Score on test the blend, equal weights, and the single model that has the least log loss on val."""
    val, test = splits["val"], splits["test"]
    of_test = stacked.of(test)

    def score(chosen: np.ndarray) -> dict[str, float | int]:
        return scores.summary(test.labels, blend.blend(of_test, chosen), test.groups)

    n_models = len(stacked.names)
    found: dict[str, Any] = {"test": score(weights), "equal_weights": score(np.full(n_models, 1 / n_models))}
    if len(val.labels):
        best = int(np.argmin([scores.log_loss(val.labels, p) for p in stacked.of(val)]))
        found["best_single"] = {"name": stacked.names[best], **score(np.eye(n_models)[best])}
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


def describe(stacked: Tables, weights: blend.Weights) -> dict[str, Any]:
    """Return what applies the ensemble to new photos: weights and files (beside this record) by model."""
    return {
        "classes": stacked.classes,
        "weights": by_name(stacked, weights),
        "files": {name: f"{name}/model.keras" for name in stacked.names},
        "reason": weights.reason,
    }


def by_name(stacked: Tables, weights: blend.Weights) -> dict[str, float]:
    """Return the weight of each model."""
    return dict(zip(stacked.names, weights.values.tolist()))


def read_models(params_path: Path, folder: Path, classes: list[str]) -> dict[str, Predictions]:
    """Read the table of every model that the parameters name, sorted by name."""
    names = params.load(params_path).get("models") or {}
    if not names:
        raise params.ParamError(f"{params_path}: expected a model or more under `models`, found none")
    return {name: predictions.read(folder / f"{name}.csv", classes) for name in sorted(names)}


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
    weights = blend.fit_weights(stacked.of(val), val.labels, rule.min_val)
    mixed = Predictions(stacked.image_ids, blend.blend(stacked.probabilities, weights.values), classes)
    found = compare(stacked, splits, weights.values) | {"weights": by_name(stacked, weights)}
    predictions.write(args.blended, mixed)
    tables.write(args.submission, submission(mixed, test))
    atomic.write_json(args.ensemble, describe(stacked, weights))
    atomic.write_json(args.metrics, found)
    progress.summary("ensemble", models=len(stacked.names), val=len(val.labels), test=len(test.labels))


if __name__ == "__main__":
    main()
