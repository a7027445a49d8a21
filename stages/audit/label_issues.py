"""Labels that out-of-sample probabilities contradict, found by confident learning.

Northcutt, Jiang & Chuang 2021, arXiv:1911.00068, in cleanlab's own implementation.
"""

import warnings

import numpy as np


def find_label_issues(labels: np.ndarray, probabilities: np.ndarray, max_probability: float) -> np.ndarray:
    """Return which of N photos are likely to be labelled wrongly, (N,) bool.

    `probabilities` (N, C) must come from models that did not see the photo while they learned, or its label wins.
    Confident learning puts weak models' errors down to the labels; a label of more than `max_probability` is spared.
    """
    if len(np.unique(labels)) < 2:
        # Nothing to be confused with.
        return np.zeros(len(labels), dtype=bool)
    from cleanlab.filter import find_label_issues  # seconds to import, and needed here alone

    with warnings.catch_warnings():
        # A class without a label has no wrong one either.
        warnings.filterwarnings("ignore", "May not flag all label issues", UserWarning)
        found = np.asarray(find_label_issues(labels, probabilities, n_jobs=1), dtype=bool)
    return found & (probabilities[np.arange(len(labels)), labels] <= max_probability)
