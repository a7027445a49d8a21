"""Calibration of probabilities: reliability, expected calibration error, and temperature scaling."""

import numpy as np
import pandas as pd

from stages.scoring.probabilities import safe_log

_N_BINS = 15
_N_DRAWS = 1000
# Photos drawn at once: memory is bounded, some 500 MiB, for any number of photos.
_MAX_DRAWN = 2**24
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


def reliability(labels: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Return a row per bin of confidence that holds a photo: `confidence` and `accuracy` (means), `photos`."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    frame = pd.DataFrame({"confidence": confidence, "accuracy": right.astype(float), "photos": 1})
    found = frame.groupby(_bins(confidence)).agg({"confidence": "mean", "accuracy": "mean", "photos": "sum"})
    return found.reset_index(drop=True)


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the expected calibration error of the likeliest class, 0..1, over 15 bins of equal width.

    Mean distance of confidence and accuracy, bins weighed by their photos (Naeini et al. 2015; Guo et al. 2017,
    section 2). With few photos it is far from zero for the best of probabilities: see `ece_if_calibrated`.
    """
    table = reliability(labels, probabilities)
    distances = (table["confidence"] - table["accuracy"]).abs()
    return float((distances * table["photos"]).sum() / len(labels))


def ece_if_calibrated(probabilities: np.ndarray, seed: int = 0) -> float:
    """Return the mean calibration error that `probabilities` (N, C), N > 0, would have if they were calibrated.

    A thousand times, whether the likeliest class is the true one is drawn with its own probability.
    """
    confidence = probabilities.max(axis=1)
    generator, at_once = np.random.default_rng(seed), max(1, _MAX_DRAWN // len(confidence))
    members = _bins(confidence)[None, :] == np.arange(_N_BINS)[:, None]
    gaps = []
    for start in range(0, _N_DRAWS, at_once):
        right = generator.random((min(at_once, _N_DRAWS - start), len(confidence))) < confidence
        gaps.append((right - confidence) @ members.T)
    return float(np.abs(np.concatenate(gaps)).sum(axis=1).mean() / len(confidence))


def _bins(confidence: np.ndarray) -> np.ndarray:
    """The bin 0..14 of each confidence; bins are closed above, so that 1 lies in the last."""
    return np.clip(np.ceil(confidence * _N_BINS).astype(int) - 1, 0, _N_BINS - 1)
