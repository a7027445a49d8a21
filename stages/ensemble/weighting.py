"""Several models as one: a weighted mean of their probabilities, made as sure as it should be.

Weights and temperature are fitted on photos held back from the models' training.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import LinearConstraint, minimize
from sklearn.model_selection import GroupKFold

from stages.ensemble.settings import SHRINKAGES, EnsembleSettings
from stages.scoring.calibration import apply_temperature, fit_temperature
from stages.scoring.probabilities import log_loss, normalised

# Keeps the logarithm finite for a class that a model holds impossible.
_FLOOR = 1e-12
_LEAST_WEIGHT = 1e-6
_PICKS = 100
_FOLDS = 5


class Weights(NamedTuple):
    """`values` (M,) non-negative, with the sum one; `reason` says why they were not fitted, or is empty.

    `gap` bounds how much less than that of these weights the log loss on val could be: nought at the optimum.
    """

    values: np.ndarray
    reason: str
    gap: float = 0.0


class WeightedEnsemble(NamedTuple):
    """Weights (M,) of the models and the temperature of their blend."""

    weights: np.ndarray
    temperature: float = 1.0

    def __call__(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the blend (N, C) of `probabilities` (M, N, C)."""
        return apply_temperature(weighted_average(probabilities, self.weights), self.temperature)


def weighted_average(probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted mean (N, C) of `probabilities` (M, N, C) under `weights` (M,)."""
    return normalised(np.einsum("m,mnc->nc", weights, probabilities))


def fit_weights(probabilities: np.ndarray, labels: np.ndarray, min_photos: int, method: str = "log_loss") -> Weights:
    """Find the weights under which the blend of `probabilities` (M, N, C) fits `labels` (N,) best.

    Falls back to equal weights, with the reason, on fewer than `min_photos` photos or when the solver gives up.
    """
    n_models, n_photos = probabilities.shape[:2]
    equal = np.full(n_models, 1 / n_models)
    if n_models == 1 or method == "equal":
        return Weights(equal, "" if n_models == 1 else "equal weights: asked for")
    if n_photos < min_photos:
        return Weights(equal, f"equal weights: {n_photos} val photos, {min_photos} needed to fit any")
    of_truth = np.maximum(probabilities[:, np.arange(n_photos), labels], _FLOOR)
    values, reason = _greedy(of_truth) if method == "greedy" else _least_log_loss(of_truth)
    return Weights(values, reason, _optimality_gap(values, of_truth))


def _least_log_loss(of_truth: np.ndarray) -> tuple[np.ndarray, str]:
    """The weights (M,) of least log loss, by SLSQP; the loss is convex, so the minimum does not depend on the start."""
    n_models = len(of_truth)
    equal = np.full(n_models, 1 / n_models)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = np.maximum(weights @ of_truth, _FLOOR)
        return -np.log(mixed).mean(), -(of_truth / mixed).mean(axis=1)

    simplex = LinearConstraint(np.ones((1, n_models)), 1, 1)
    found = minimize(loss, equal, jac=True, method="SLSQP", bounds=[(0, 1)] * n_models, constraints=simplex, tol=1e-12)
    if not found.success:
        return equal, f"equal weights: the solver stopped with {found.message!r}"
    # What rounding leaves of a weight of nought would keep a model loaded for nothing.
    values = np.where(found.x < _LEAST_WEIGHT, 0.0, found.x)
    return values / values.sum(), ""


def _greedy(of_truth: np.ndarray) -> tuple[np.ndarray, str]:
    """Pick, again and again, the model that makes the blend of all picks best (Caruana et al. 2004, section 2.1)."""
    picks, total = np.zeros(len(of_truth)), np.zeros(of_truth.shape[1])
    for count in range(1, _PICKS + 1):
        losses = -np.log((total + of_truth) / count).mean(axis=1)
        best = int(np.argmin(losses))
        picks[best] += 1
        total = total + of_truth[best]
    return picks / _PICKS, ""


def _optimality_gap(weights: np.ndarray, of_truth: np.ndarray) -> float:
    """How far the log loss of `weights` can be above the least, by convexity (Jaggi 2013, section 2)."""
    gradient = -(of_truth / (weights @ of_truth)).mean(axis=1)
    return float(max(0.0, weights @ gradient - gradient.min()))


def fit(
    probabilities: np.ndarray, labels: np.ndarray, rule: EnsembleSettings, shrink: float
) -> tuple[WeightedEnsemble, Weights]:
    """Fit weights, mixed with `shrink` x equal ones, and the temperature of the blend; return the fitted ones too."""
    fitted = fit_weights(probabilities, labels, rule.min_val, rule.method)
    weights = (1 - shrink) * fitted.values + shrink / len(fitted.values)
    return calibrate(weights, probabilities, labels, rule), fitted


def calibrate(
    weights: np.ndarray, probabilities: np.ndarray, labels: np.ndarray, rule: EnsembleSettings
) -> WeightedEnsemble:
    """Give the blend of `probabilities` (M, N, C) by `weights` (M,) a temperature, 1 with too little to fit it on."""
    if not rule.calibrate or len(labels) < rule.min_val:
        return WeightedEnsemble(weights)
    return WeightedEnsemble(weights, fit_temperature(weighted_average(probabilities, weights), labels))


def cross_fitted(
    probabilities: np.ndarray, labels: np.ndarray, groups: Sequence[str], rule: EnsembleSettings, shrink: float
) -> np.ndarray:
    """Return the blend (N, C) of each photo by weights and a temperature fitted on the others, 5 folds of groups.

    What it scores is out of sample, unlike the same photos under weights fitted to all of them.
    """
    found = np.zeros(probabilities.shape[1:])
    rule = rule.replace(min_val=1)
    for fitted, held in GroupKFold(min(_FOLDS, len(set(groups)))).split(labels, groups=groups):
        mix, _ = fit(probabilities[:, fitted], labels[fitted], rule, shrink)
        found[held] = mix(probabilities[:, held])
    return found


def choose_shrinkage(
    probabilities: np.ndarray, labels: np.ndarray, groups: Sequence[str], rule: EnsembleSettings
) -> float:
    """Return the share of equal weights: the one given, or that of the least cross-fitted log loss.

    1, equal weights, where there is too little to judge by. The larger one of two that do equally well.
    """
    if rule.shrinkage != "auto":
        return rule.shrinkage
    if len(labels) < rule.min_val or len(set(groups)) < 2:
        return 1.0
    losses = {
        shrink: log_loss(labels, cross_fitted(probabilities, labels, groups, rule, shrink)) for shrink in SHRINKAGES
    }
    return min(losses, key=lambda shrink: (losses[shrink], -shrink))


def manual_weights(given: Mapping[str, float], names: Sequence[str]) -> np.ndarray:
    """Return weights (M,) given by name in the order of `names`, scaled to sum to one.

    Raises ValueError unless exactly these models have one and some of them are more than nought.
    """
    strange = sorted(set(given) ^ set(names))
    if strange or not sum(given.values()):
        raise ValueError(
            f"ensemble.manual_weights: expected a weight for each of {', '.join(names)}, not all 0, found {dict(given)}"
        )
    values = np.array([given[name] for name in names])
    return values / values.sum()


def read(path: Path, classes: list[str]) -> tuple[dict[str, float], float]:
    """Read the record of the ensemble stage: the weight of each model by name, and the temperature of their blend.

    Raises FileNotFoundError when there is none, ValueError when it is about other `classes`.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a fitted ensemble, found none; run `dvc repro`")
    record = json.loads(path.read_text(encoding="utf-8"))
    if record["classes"] != classes:
        raise ValueError(f"{path}: expected the classes {classes}, found {record['classes']}; run `dvc repro`")
    return dict(record["weights"]), float(record["temperature"])
