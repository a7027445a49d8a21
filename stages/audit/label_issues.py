"""Label issues by confident learning on out-of-sample probabilities.

Northcutt, Jiang & Chuang 2021, arXiv:1911.00068, as implemented in cleanlab.
"""

import warnings

import numpy as np


def find_label_issues(labels: np.ndarray, probabilities: np.ndarray, max_probability: float) -> np.ndarray:
    """Return which of N labels are likely wrong, (N,) bool.

    `probabilities` (N, C) must be out of sample: a model trained on a photo reproduces its label. Confident learning
    attributes the errors of weak models to the labels, so labels of more than `max_probability` are excluded.
    """
    if len(np.unique(labels)) < 2:
        # With a single class no label can be confused with another.
        return np.zeros(len(labels), dtype=bool)
    from cleanlab.filter import find_label_issues  # takes seconds to import, and only this function needs it

    with warnings.catch_warnings():
        # cleanlab warns of classes without labels; they have no label issues.
        warnings.filterwarnings("ignore", "May not flag all label issues", UserWarning)
        is_issue = np.asarray(find_label_issues(labels, probabilities, n_jobs=1), dtype=bool)
    return is_issue & (probabilities[np.arange(len(labels)), labels] <= max_probability)
