"""Arrays of class probabilities, and log loss."""

import numpy as np

# The smallest probability in a logarithm, which stays finite for a class that a model holds impossible.
MIN_PROBABILITY = 1e-12


def normalised(probabilities: np.ndarray) -> np.ndarray:
    """Return rows (..., C) as float64 each divided by its sum."""
    rows = np.asarray(probabilities, dtype=np.float64)
    return rows / rows.sum(axis=-1, keepdims=True)


def safe_log(probabilities: np.ndarray) -> np.ndarray:
    """Return the natural logarithm of probabilities (...), each taken as MIN_PROBABILITY or more."""
    return np.asarray(np.log(np.maximum(probabilities, MIN_PROBABILITY)))


def negative_log_likelihood(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the negative natural logarithm (N,) of the probability (N, C) of each row's true class (N,)."""
    return -safe_log(probabilities[np.arange(len(labels)), labels])


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Return the mean negative natural logarithm of the probability (N, C) of the true class (N,)."""
    from sklearn import metrics  # slow to import, and prediction needs no score

    return float(metrics.log_loss(labels, probabilities, labels=np.arange(probabilities.shape[1])))
