"""Weights of the models and the temperature of their average, fitted on val, on which no model was trained."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages.core import json_file
from stages.core.errors import UserError
from stages.ensemble.settings import SHRINKAGES, EnsembleSettings
from stages.scoring.probabilities import MIN_PROBABILITY, log_loss
from stages.scoring.temperature_scaling import fit_temperature
from stages.scoring.weighted_ensemble import WeightedEnsemble, weighted_average

# A smaller weight is a rounding error of the solver.
_MIN_WEIGHT = 1e-6
_N_PICKS = 100
_N_FOLDS = 5


class Weights(NamedTuple):
    """Weights `values` (M,), non-negative with the sum 1; `reason` says why they are not fitted, or is empty.

    The log loss on val of the best weights is at most `gap` (nats) lower; 0 at the optimum.
    """

    values: np.ndarray
    reason: str
    gap: float = 0.0


def fit_weights(probabilities: np.ndarray, labels: np.ndarray, min_photos: int, method: str = "log_loss") -> Weights:
    """Fit the weights that minimise the log loss of the average of `probabilities` (M, N, C) on `labels` (N,).

    Returns equal weights with the reason for fewer than `min_photos` photos, or when the solver fails.
    """
    n_models, n_photos = probabilities.shape[:2]
    equal = np.full(n_models, 1 / n_models)
    if n_models == 1 or method == "equal":
        return Weights(equal, "" if n_models == 1 else "equal weights: ensemble.method")
    if n_photos < min_photos:
        return Weights(equal, f"equal weights: {n_photos} val photos, {min_photos} needed to fit any")
    true_probabilities = np.maximum(probabilities[:, np.arange(n_photos), labels], MIN_PROBABILITY)
    values, reason = _greedy(true_probabilities) if method == "greedy" else _min_log_loss(true_probabilities)
    return Weights(values, reason, _optimality_gap(values, true_probabilities))


def _min_log_loss(true_probabilities: np.ndarray) -> tuple[np.ndarray, str]:
    """Minimise the log loss by SLSQP, from the probabilities (M, N) of the true classes; weights (M,) and the reason.

    The loss is convex, so the minimum does not depend on the start.
    """
    from scipy.optimize import LinearConstraint, minimize  # slow to import, and prediction fits nothing

    n_models = len(true_probabilities)
    equal = np.full(n_models, 1 / n_models)

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        averaged = np.maximum(weights @ true_probabilities, MIN_PROBABILITY)
        return -np.log(averaged).mean(), -(true_probabilities / averaged).mean(axis=1)

    simplex = LinearConstraint(np.ones((1, n_models)), 1, 1)
    bounds = [(0, 1)] * n_models
    solution = minimize(loss, equal, jac=True, method="SLSQP", bounds=bounds, constraints=simplex, tol=1e-12)
    if not solution.success:
        return equal, f"equal weights: the solver stopped with {solution.message!r}"
    # A model with a rounding error for its weight would be loaded without effect.
    values = np.where(solution.x < _MIN_WEIGHT, 0.0, solution.x)
    return values / values.sum(), ""


def _greedy(true_probabilities: np.ndarray) -> tuple[np.ndarray, str]:
    """Add, one by one, the model that lowers the log loss of the average most (Caruana et al. 2004, section 2.1)."""
    picks, total = np.zeros(len(true_probabilities)), np.zeros(true_probabilities.shape[1])
    for count in range(1, _N_PICKS + 1):
        losses = -np.log((total + true_probabilities) / count).mean(axis=1)
        best = int(np.argmin(losses))
        picks[best] += 1
        total = total + true_probabilities[best]
    return picks / _N_PICKS, ""


def _optimality_gap(weights: np.ndarray, true_probabilities: np.ndarray) -> float:
    """The largest possible distance of the log loss of `weights` from its minimum (Jaggi 2013, section 2)."""
    gradient = -(true_probabilities / (weights @ true_probabilities)).mean(axis=1)
    return float(max(0.0, weights @ gradient - gradient.min()))


def fit(
    probabilities: np.ndarray, labels: np.ndarray, settings: EnsembleSettings, shrinkage: float
) -> tuple[WeightedEnsemble, Weights]:
    """Fit weights, move them the share `shrinkage` of the way to equal ones, fit the temperature.

    Returns the ensemble, and the weights before shrinkage.
    """
    fitted = fit_weights(probabilities, labels, settings.min_val, settings.method)
    weights = (1 - shrinkage) * fitted.values + shrinkage / len(fitted.values)
    return calibrate(weights, probabilities, labels, settings), fitted


def calibrate(
    weights: np.ndarray, probabilities: np.ndarray, labels: np.ndarray, settings: EnsembleSettings
) -> WeightedEnsemble:
    """Fit the temperature of the average of `probabilities` (M, N, C) with `weights` (M,); 1 with too few photos."""
    if not settings.calibrate or len(labels) < settings.min_val:
        return WeightedEnsemble(weights)
    return WeightedEnsemble(weights, fit_temperature(weighted_average(probabilities, weights), labels))


def cross_fitted(
    probabilities: np.ndarray, labels: np.ndarray, groups: Sequence[str], settings: EnsembleSettings, shrinkage: float
) -> np.ndarray:
    """Return the ensemble's probabilities (N, C), each fold's by weights and a temperature fitted on the other folds.

    The 5 folds keep groups together. Scores of the result are out of sample.
    """
    from sklearn.model_selection import GroupKFold  # slow to import, and prediction fits nothing

    predicted = np.zeros(probabilities.shape[1:])
    settings = settings.replace(min_val=1)
    for fit_rows, held_out in GroupKFold(min(_N_FOLDS, len(set(groups)))).split(labels, groups=groups):
        ensemble, _ = fit(probabilities[:, fit_rows], labels[fit_rows], settings, shrinkage)
        predicted[held_out] = ensemble(probabilities[:, held_out])
    return predicted


def choose_shrinkage(
    probabilities: np.ndarray, labels: np.ndarray, groups: Sequence[str], settings: EnsembleSettings
) -> float:
    """Return the share of equal weights, 0..1: `settings.shrinkage`, or for `auto` that of the least cross-fitted loss.

    With too few photos it is 1, equal weights. Of two shares with the same loss, the larger one is returned.
    """
    if settings.shrinkage != "auto":
        return settings.shrinkage
    if len(labels) < settings.min_val or len(set(groups)) < 2:
        return 1.0
    losses = {
        share: log_loss(labels, cross_fitted(probabilities, labels, groups, settings, share)) for share in SHRINKAGES
    }
    return min(losses, key=lambda share: (losses[share], -share))


def manual_weights(given: Mapping[str, float], names: Sequence[str]) -> np.ndarray:
    """Return the weights `given` by model in the order of `names`, (M,), scaled to the sum 1.

    Raises UserError unless each of these models and no other has a weight, and one of them is positive.
    """
    if set(given) != set(names) or not sum(given.values()):
        raise UserError(
            f"ensemble.manual_weights: expected a weight for each of {', '.join(names)}, not all 0, found {dict(given)}"
        )
    values = np.array([given[name] for name in names])
    return values / values.sum()


class SavedEnsemble(NamedTuple):
    """The content of models/ensemble.json: weights by model, the temperature, the shares (C,) of classes in train, and
    the probability from which a prediction is sure: 0 where none is unsure, infinity where all are.
    """

    weights: dict[str, float]
    temperature: float
    prior: np.ndarray
    threshold: float = 0.0


def read(path: Path, classes: list[str]) -> SavedEnsemble:
    """Read models/ensemble.json.

    Raises UserError if it does not exist, or its classes are not `classes`.
    """
    record = json_file.read(path, ("classes", "weights", "temperature", "prior"))
    if record["classes"] != classes:
        raise UserError(f"{path}: expected the classes {classes}, found {record['classes']}; run `dvc repro`")
    prior = np.array([record["prior"][name] for name in classes], dtype=np.float64)
    abstain = record.get("abstain")
    value = abstain["threshold"] if abstain else 0.0
    threshold = np.inf if value is None else float(value)
    return SavedEnsemble(dict(record["weights"]), float(record["temperature"]), prior, threshold)
