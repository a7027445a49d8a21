"""Several models as one: a weighted mean of their probabilities, the weights fitted on photos held back."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import LinearConstraint, minimize

from stages.records.params import Count

# Keeps the logarithm finite for a class that a model holds impossible.
_FLOOR = 1e-12
_LEAST_WEIGHT = 1e-6


@dataclass(frozen=True)
class EnsembleParams:
    """Section `ensemble`: with fewer than `min_val` photos to fit weights on, all models weigh the same."""

    min_val: Count = 30


class Weights(NamedTuple):
    """`values` (M,) non-negative, with the sum one; `reason` says why they were not fitted, or is empty."""

    values: np.ndarray
    reason: str


def normalised(probabilities: np.ndarray) -> np.ndarray:
    """Return rows (N, C) as float64 each divided by its sum."""
    rows = np.asarray(probabilities, dtype=np.float64)
    return rows / rows.sum(axis=1, keepdims=True)


def blend(probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted mean (N, C) of `probabilities` (M, N, C) under `weights` (M,)."""
    return normalised(np.einsum("m,mnc->nc", weights, probabilities))


def fit_weights(probabilities: np.ndarray, labels: np.ndarray, min_photos: int) -> Weights:
    """Find the weights that minimise the log loss of the blend of `probabilities` (M, N, C) on `labels` (N,).

    The loss is convex on the simplex of weights, so the minimum does not depend on the start. Falls back to
    equal weights, with the reason, on fewer than `min_photos` photos or when the solver gives up.
    """
    n_models, n_photos = probabilities.shape[:2]
    equal = np.full(n_models, 1 / n_models)
    if n_models == 1:
        return Weights(equal, "")
    if n_photos < min_photos:
        return Weights(equal, f"equal weights: {n_photos} val photos, {min_photos} needed to fit any")
    of_truth = np.maximum(probabilities[:, np.arange(n_photos), labels], _FLOOR)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = np.maximum(weights @ of_truth, _FLOOR)
        return -np.log(mixed).mean(), -(of_truth / mixed).mean(axis=1)

    simplex = LinearConstraint(np.ones((1, n_models)), 1, 1)
    found = minimize(loss, equal, jac=True, method="SLSQP", bounds=[(0, 1)] * n_models, constraints=simplex, tol=1e-12)
    if not found.success:
        return Weights(equal, f"equal weights: the solver stopped with {found.message!r}")
    # What rounding leaves of a weight of nought would keep a model loaded for nothing.
    values = np.where(found.x < _LEAST_WEIGHT, 0.0, found.x)
    return Weights(values / values.sum(), "")


def read_weights(path: Path, classes: list[str]) -> dict[str, float]:
    """Read the weight of each model by name from the record that the ensemble stage wrote.

    Raises FileNotFoundError when there is none, ValueError when it is about other `classes`.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a fitted ensemble, found none; run `dvc repro`")
    record = json.loads(path.read_text(encoding="utf-8"))
    if record["classes"] != classes:
        raise ValueError(f"{path}: expected the classes {classes}, found {record['classes']}; run `dvc repro`")
    return dict(record["weights"])
