"""Metrics of class probabilities, with an interval on accuracy."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn import metrics

from stages.scoring import calibration
from stages.scoring.probabilities import log_loss

_Z_95 = 1.959963984540054


def wilson(share: float, n_trials: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share of successes in `n_trials` (1 or more) independent trials.

    It keeps its coverage for few trials and near 0 and 1, where the textbook interval and the bootstrap
    collapse (Wilson 1927; Brown, Cai & DasGupta 2001, section 4).
    """
    z2 = _Z_95**2
    centre = (share + z2 / (2 * n_trials)) / (1 + z2 / n_trials)
    spread = share * (1 - share) / n_trials + z2 / (4 * n_trials**2)
    half = _Z_95 * math.sqrt(spread) / (1 + z2 / n_trials)
    return max(0.0, centre - half), min(1.0, centre + half)


def summary(labels: np.ndarray, probabilities: np.ndarray, groups: Sequence[str]) -> dict[str, float | int]:
    """Score `probabilities` (N, C) on `labels` (N,) of 0..C-1; only `n` for no photos at all.

    The interval counts each group of near-duplicates as one trial: their predictions are right or wrong together, and
    counting them as independent photos would make the interval too narrow. macro_f1 is the mean over the classes
    present; top3 the share of photos whose class is among the three likeliest; ece the expected calibration error;
    ece_if_calibrated the one that calibrated probabilities would have on so few photos.
    """
    if not len(labels):
        return {"n": 0}
    predicted = probabilities.argmax(axis=1)
    accuracy = float(metrics.accuracy_score(labels, predicted))
    low, high = wilson(accuracy, len(set(groups)))
    present = np.unique(labels)
    return {
        "n": len(labels),
        "accuracy": accuracy,
        "accuracy_low": low,
        "accuracy_high": high,
        "macro_f1": float(metrics.f1_score(labels, predicted, labels=present, average="macro", zero_division=0)),
        "top3": top_k(labels, probabilities, 3),
        "log_loss": log_loss(labels, probabilities),
        "ece": calibration.expected_calibration_error(labels, probabilities),
        "ece_if_calibrated": calibration.ece_if_calibrated(probabilities),
    }


def top_k(labels: np.ndarray, probabilities: np.ndarray, k: int) -> float:
    """Return the share of photos whose class is among the `k` likeliest; ties go to the lower class number."""
    ranked = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
    return float((ranked == labels[:, None]).any(axis=1).mean())


def confusion(labels: np.ndarray, probabilities: np.ndarray, classes: list[str]) -> pd.DataFrame:
    """Return one row per photo, columns `actual` and `predicted` (class names), sorted, for DVC's
    confusion plot.
    """
    names = np.array(classes, dtype=object)
    frame = pd.DataFrame({"actual": names[labels], "predicted": names[probabilities.argmax(axis=1)]})
    return frame.sort_values(["actual", "predicted"])


def per_class(labels: np.ndarray, probabilities: np.ndarray, classes: list[str]) -> pd.DataFrame:
    """Return one row per class: label, precision, recall, f1 (0 where undefined), support (photos)."""
    if not len(labels):
        return pd.DataFrame({"label": classes, "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 0})
    numbers = np.arange(len(classes))
    columns = metrics.precision_recall_fscore_support(
        labels, probabilities.argmax(axis=1), labels=numbers, zero_division=0
    )
    frame = pd.DataFrame(dict(zip(("precision", "recall", "f1", "support"), columns)))
    frame.insert(0, "label", classes)
    return frame
