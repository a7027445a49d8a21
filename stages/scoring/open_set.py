"""How well a score tells photos of unknown classes from those of known ones."""

from typing import NamedTuple

import numpy as np
from sklearn import metrics

_ACCEPTED = 0.95


class Separation(NamedTuple):
    """`auroc`: the probability that an unknown photo is more novel than a known one, ties counted half.

    `fpr95`: the share of unknown photos that are accepted where 95 % of the known ones are (Liang et al. 2018,
    arXiv:1706.02690, section 4.2).
    """

    auroc: float
    fpr95: float


def separation(known: np.ndarray, unknown: np.ndarray) -> Separation:
    """The separation by the novelty of known (N,) and unknown (M,) photos, N and M > 0."""
    is_known = np.repeat([True, False], [len(known), len(unknown)])
    accepted_unknown, accepted_known, _ = metrics.roc_curve(
        is_known, -np.concatenate([known, unknown]), drop_intermediate=False
    )
    place = int(np.argmax(accepted_known >= _ACCEPTED))
    return Separation(float(metrics.auc(accepted_unknown, accepted_known)), float(accepted_unknown[place]))
