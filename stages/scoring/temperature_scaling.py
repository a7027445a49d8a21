"""Temperature scaling: one number that makes probabilities more or less extreme."""

import numpy as np

from stages.scoring.probabilities import safe_log

# The search for a temperature is bounded, and runs over its logarithm.
_MIN_TEMPERATURE, _MAX_TEMPERATURE = 0.1, 10.0


def apply_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return rows (N, C) with each probability to the power 1 / temperature, scaled to sum to one again.

    Below 1 probabilities become more extreme, above 1 less; the ranking of the classes stays. For a softmax it equals
    dividing the logits (Guo et al. 2017, arXiv:1706.04599, section 4.2).
    """
    logs = safe_log(probabilities) / temperature
    powers = np.exp(logs - logs.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Return the temperature that minimises the log loss of `probabilities` (N, C), N > 0, on `labels` (N,).

    Targets are smoothed to (N + 1) / (N + 2) (Platt 1999, "Probabilistic outputs for support vector machines", section
    2.2): if all N photos are classified correctly, the next one need not be.
    """
    from scipy.optimize import minimize_scalar  # slow to import, and prediction fits nothing

    rows, doubt = np.arange(len(labels)), 1 / (len(labels) + 2)

    def loss(log_temperature: float) -> float:
        of_truth = apply_temperature(probabilities, float(np.exp(log_temperature)))[rows, labels]
        right, wrong = (safe_log(share) for share in (of_truth, 1 - of_truth))
        return float(-((1 - doubt) * right + doubt * wrong).mean())

    bounds = np.log(_MIN_TEMPERATURE), np.log(_MAX_TEMPERATURE)
    return float(np.exp(minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6}).x))
