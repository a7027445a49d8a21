"""Tables of class probabilities, and the loss that models are fitted by."""

import numpy as np
from sklearn import metrics


def normalised(probabilities: np.ndarray) -> np.ndarray:
    """Return rows (..., C) as float64 each divided by its sum."""
    rows = np.asarray(probabilities, dtype=np.float64)
    return rows / rows.sum(axis=-1, keepdims=True)


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean negative natural logarithm of the probability (N, C) of the true class (N,)."""
    return float(metrics.log_loss(labels, probabilities, labels=np.arange(probabilities.shape[1])))
