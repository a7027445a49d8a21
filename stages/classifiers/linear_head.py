"""Multinomial logistic regression on frozen features: the first fit of a classifier's head.

A head fitted first keeps fine-tuning from spoiling the features while the head is still random (Kumar et al.
2022, arXiv:2202.10054, "LP-FT").
"""

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax
from threadpoolctl import threadpool_limits


def fit_linear_head(
    features: np.ndarray, labels: np.ndarray, n_classes: int, l2: float, label_smoothing: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Fit a head on `features` (N, D) and `labels` (N,) of 0..C-1; return kernel (D, C) and bias (C,),
    float32.

    Minimises the mean cross-entropy plus l2/2 times the squared weights. Classes without a photo are allowed:
    their bias falls as far as the label smoothing lets it. Works on one thread: the matrices are small, and threads
    that wait for each other beside other work take many times as long (46 times, seen on two cores).
    """
    x = np.asarray(features, dtype=np.float64)
    centre = x.mean(axis=0)
    x = x - centre
    smoothed = np.full((len(x), n_classes), label_smoothing / n_classes)
    smoothed[np.arange(len(x)), labels] += 1 - label_smoothing

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        kernel, bias = flat[:-n_classes].reshape(-1, n_classes), flat[-n_classes:]
        log_p = log_softmax(x @ kernel + bias, axis=1)
        excess = (np.exp(log_p) - smoothed) / len(x)
        value = -(smoothed * log_p).sum() / len(x) + l2 / 2 * (kernel**2).sum()
        return value, np.concatenate([(x.T @ excess + l2 * kernel).ravel(), excess.sum(axis=0)])

    start = np.zeros((x.shape[1] + 1) * n_classes)
    with threadpool_limits(1, user_api="blas"):
        best = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 300}).x
    kernel, bias = best[:-n_classes].reshape(-1, n_classes), best[-n_classes:]
    return kernel.astype(np.float32), (bias - centre @ kernel).astype(np.float32)
