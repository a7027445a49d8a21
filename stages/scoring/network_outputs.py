"""What a network gives for photos, beside probabilities."""

from typing import NamedTuple

import numpy as np


class NetworkOutputs(NamedTuple):
    """What a network gives for N photos: pooled `features` (N, D) and `logits` (N, C), float32."""

    features: np.ndarray
    logits: np.ndarray

    def select(self, rows: np.ndarray) -> "NetworkOutputs":
        """The photos of `rows`: their numbers, or a mask (N,) bool."""
        return NetworkOutputs(self.features[rows], self.logits[rows])
