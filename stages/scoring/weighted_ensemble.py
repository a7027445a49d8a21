"""The weighted average of several models' probabilities, calibrated by a temperature."""

from typing import NamedTuple

import numpy as np

from stages.scoring.probabilities import normalised
from stages.scoring.temperature_scaling import apply_temperature


class WeightedEnsemble(NamedTuple):
    """Weights (M,) of the models, non-negative with the sum 1, and the temperature of their weighted average."""

    weights: np.ndarray
    temperature: float = 1.0

    def __call__(self, probabilities: np.ndarray) -> np.ndarray:
        """Return the calibrated weighted average (N, C) of `probabilities` (M, N, C)."""
        return apply_temperature(weighted_average(probabilities, self.weights), self.temperature)


def weighted_average(probabilities: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the average (N, C) of `probabilities` (M, N, C) with `weights` (M,), as float64 rows with the sum 1."""
    return normalised(np.einsum("m,mnc->nc", weights, probabilities))
