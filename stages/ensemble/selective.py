"""Selective prediction: how wrong the ensemble is on the share of photos of which it is surest, and when it abstains.

The threshold follows El-Yaniv & Wiener 2010, JMLR 11 (risk and coverage), and Geifman & El-Yaniv 2017,
arXiv:1705.08500, in that it comes with a bound on the risk; several thresholds are tested in a fixed order, from the
surest photos on, up to the first that fails, so that the bound holds for the one that is taken (fixed sequence testing:
Angelopoulos et al. 2021, arXiv:2110.01052, section 2.3).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import beta

from stages.ensemble.settings import AbstainSettings


class RankedPredictions(NamedTuple):
    """Of N photos: the probability (N,) of the predicted class, whether that is correct (N,), and the groups."""

    confidence: np.ndarray
    correct: np.ndarray
    groups: Sequence[str]

    @classmethod
    def of(cls, labels: np.ndarray, probabilities: np.ndarray, groups: Sequence[str]) -> "RankedPredictions":
        """The predictions by probabilities (N, C) for photos with the labels (N,)."""
        return cls(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels, groups)


def risk_coverage(predicted: RankedPredictions) -> pd.DataFrame:
    """A row for each distinct confidence, the highest first: `threshold`, and of the photos with as much or more their
    share `coverage` and the share `risk` of wrong ones among them; empty without photos.
    """
    order = np.argsort(-predicted.confidence, kind="stable")
    confidence = predicted.confidence[order]
    # A threshold takes photos of one confidence together.
    last = np.append(confidence[1:] != confidence[:-1], True) if len(order) else np.zeros(0, dtype=bool)
    numbers, wrong = np.arange(1, len(order) + 1), np.cumsum(~predicted.correct[order])
    frame = pd.DataFrame({"threshold": confidence, "coverage": numbers / max(len(order), 1), "risk": wrong / numbers})
    return frame[last].reset_index(drop=True)


def curves(by_split: Mapping[str, RankedPredictions]) -> pd.DataFrame:
    """The rows of `risk_coverage` of all splits, with the column `split`."""
    return pd.concat([risk_coverage(predicted).assign(split=name) for name, predicted in by_split.items()])


def area(predicted: RankedPredictions) -> float:
    """The mean risk over all coverages, 0..1: the area under the risk-coverage curve of N > 0 photos."""
    order = np.argsort(-predicted.confidence, kind="stable")
    return float((np.cumsum(~predicted.correct[order]) / np.arange(1, len(order) + 1)).mean())


def upper_bounds(n_wrong: np.ndarray, n: np.ndarray, confidence: float) -> np.ndarray:
    """The one-sided Clopper-Pearson upper bounds (V,) of shares, by `n_wrong` (V,) among `n` (V,) trials; 1 without."""
    bounds = beta.ppf(confidence, n_wrong + 1, np.maximum(n - n_wrong, 1))
    return np.asarray(np.where(n_wrong < n, bounds, 1.0))


class Threshold(NamedTuple):
    """The confidence from which predictions are sure, and the bound of their risk; None where none can be promised."""

    value: float | None
    bound: float | None


def choose_threshold(predicted: RankedPredictions, rule: AbstainSettings) -> Threshold:
    """The lowest threshold whose risk is at most `rule.max_risk`, with the probability `rule.confidence`.

    A group of near-duplicates counts as one trial, which is wrong if one of its photos is.
    """
    correct, confidence = predicted.correct, pd.Series(predicted.confidence)
    groups = np.array(predicted.groups, dtype=object)
    values = np.unique(predicted.confidence)[::-1]
    # From its surest photo on a group is a trial, and from its surest wrong one on a wrong one.
    n = _n_reaching(confidence.groupby(groups).max(), values)
    n_wrong = _n_reaching(confidence[~correct].groupby(groups[~correct]).max(), values)
    # With fewer trials nothing can be said, even if all are right.
    first = int(np.searchsorted(-upper_bounds(np.zeros_like(n), n, rule.confidence), -rule.max_risk))
    bounds = upper_bounds(n_wrong, n, rule.confidence)
    n_passed = int(np.argmin(np.append(bounds[first:] <= rule.max_risk, False)))
    if not n_passed:
        return Threshold(None, None)
    last = first + n_passed - 1
    return Threshold(float(values[last]), float(bounds[last]))


def is_sure(predicted: RankedPredictions, threshold: Threshold) -> np.ndarray:
    """Whether each of N predictions is sure (N,); none is without a threshold."""
    return np.asarray(predicted.confidence >= (np.inf if threshold.value is None else threshold.value))


def _n_reaching(confidence: "pd.Series[float]", values: np.ndarray) -> np.ndarray:
    """How many of `confidence` are as high as each of `values` (V,) or higher."""
    ascending = np.sort(confidence.to_numpy())
    return np.asarray(len(ascending) - np.searchsorted(ascending, values, side="left"))


def figures(val: RankedPredictions, test: RankedPredictions, rule: AbstainSettings | None) -> dict[str, Any]:
    """Return the areas on val and test and, with a rule, the threshold and what it does on test.

    Empty for a split without photos. `is_kept` says whether the risk on test is at most the one asked for.
    """
    areas = {name: area(predicted) for name, predicted in (("val", val), ("test", test)) if len(predicted.correct)}
    if rule is None:
        return {"area": areas}
    threshold = choose_threshold(val, rule)
    chosen = {"max_risk": rule.max_risk, "confidence": rule.confidence, "threshold": threshold.value}
    return {"area": areas, **chosen, "bound": threshold.bound, "test": _on_test(test, threshold, rule.max_risk)}


def _on_test(test: RankedPredictions, threshold: Threshold, max_risk: float) -> dict[str, Any]:
    sure = is_sure(test, threshold)
    n = int(sure.sum())
    if not n:
        return {"n": 0, "coverage": 0.0}
    risk = float((~test.correct[sure]).mean())
    return {"n": n, "coverage": n / len(sure), "risk": risk, "is_kept": risk <= max_risk}
