"""Labels that may be wrong, by a model of random label noise on out-of-sample probabilities.

A label is the photo's class with probability 1 - r, and each other class with r / (C - 1), for a noise rate r. That is
the simplest of the models of Lawrence & Schölkopf 2001, Estimating a Kernel Fisher Discriminant in the Presence of
Label Noise, ICML. Rate and temperature are fitted together: a network that is unsure of many photos explains low
probabilities of their labels by itself, not by the labels.
"""

from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize

from stages.scoring.temperature_scaling import apply_temperature

_LEAST_RATE, _LARGEST_RATE = 1e-4, 0.5
_LEAST_TEMPERATURE, _LARGEST_TEMPERATURE = 0.05, 20.0
# The likelihood can have a maximum for few and one for many wrong labels.
_STARTS = (0.005, 0.1)
# Two numbers are fitted; more photos cost memory and change neither.
_MOST_FITTED = 50_000


class LabelNoise(NamedTuple):
    """The share of wrong labels, and the temperature of the probabilities."""

    rate: float
    temperature: float


def fit(labels: np.ndarray, probabilities: np.ndarray) -> LabelNoise:
    """Fit both to N labels (N,) in 0..C-1 and out-of-sample probabilities (N, C), by maximum likelihood.

    The probabilities must be of networks that did not learn from these labels: those repeat what they have learned.
    """
    if not len(labels):
        return LabelNoise(_LEAST_RATE, 1.0)
    chosen = slice(None, None, -(-len(labels) // _MOST_FITTED))

    def loss(values: np.ndarray) -> float:
        noise = LabelNoise(*np.exp(values).tolist())
        right, wrong = _likelihoods(labels[chosen], probabilities[chosen], noise)
        return -float(np.log(right + wrong).mean())

    bounds = [np.log((_LEAST_RATE, _LARGEST_RATE)), np.log((_LEAST_TEMPERATURE, _LARGEST_TEMPERATURE))]
    fits = [minimize(loss, [np.log(rate), 0.0], method="L-BFGS-B", bounds=bounds) for rate in _STARTS]
    return LabelNoise(*np.exp(min(fits, key=lambda found: float(found.fun)).x).tolist())


def probability_wrong(labels: np.ndarray, probabilities: np.ndarray, noise: LabelNoise) -> np.ndarray:
    """The probability (N,) that each label is wrong, by Bayes' rule."""
    right, wrong = _likelihoods(labels, probabilities, noise)
    return np.asarray(wrong / (right + wrong))


def _likelihoods(labels: np.ndarray, probabilities: np.ndarray, noise: LabelNoise) -> tuple[np.ndarray, np.ndarray]:
    """The likelihoods (N,) of the labels as right ones and as wrong ones."""
    calibrated = apply_temperature(probabilities, noise.temperature)
    own = calibrated[np.arange(len(labels)), labels]
    n_others = probabilities.shape[1] - 1
    # In a table of one class no label can be wrong.
    return (1 - noise.rate) * own, noise.rate * (1 - own) / max(n_others, 1)
