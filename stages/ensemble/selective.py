"""Selective prediction: how wrong the ensemble is on the share of photos of which it is surest, and when it abstains.

The threshold follows El-Yaniv & Wiener 2010, JMLR 11 (risk and coverage), and Geifman & El-Yaniv 2017,
arXiv:1705.08500, in that it comes with a bound on the risk; several thresholds are tested in a fixed order, from the
surest photos on, up to the first that fails, so that the bound holds for the one that is taken (fixed sequence testing:
Angelopoulos et al. 2021, arXiv:2110.01052, section 2.3).
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import beta

from stages.ensemble.settings import AbstainSettings


class ScoredAnswers(NamedTuple):
    """Of N photos: the probability (N,) of the predicted class, whether that is correct (N,), and the groups."""

    confidence: np.ndarray
    correct: np.ndarray
    groups: Sequence[str]

    @classmethod
    def of(cls, labels: np.ndarray, probabilities: np.ndarray, groups: Sequence[str]) -> "ScoredAnswers":
        """The answers by probabilities (N, C) for photos with the labels (N,)."""
        return cls(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels, groups)


def risk_coverage(answers: ScoredAnswers) -> pd.DataFrame:
    """A row for each distinct confidence, the highest first: `threshold`, and of the photos with as much or more their
    share `coverage` and the share `risk` of wrong ones among them; empty without photos.
    """
    order = np.argsort(-answers.confidence, kind="stable")
    confidence = answers.confidence[order]
    # Photos of one confidence are answered together.
    last = np.append(confidence[1:] != confidence[:-1], True) if len(order) else np.zeros(0, dtype=bool)
    numbers, wrong = np.arange(1, len(order) + 1), np.cumsum(~answers.correct[order])
    frame = pd.DataFrame({"threshold": confidence, "coverage": numbers / max(len(order), 1), "risk": wrong / numbers})
    return frame[last].reset_index(drop=True)


def area(answers: ScoredAnswers) -> float:
    """The mean risk over all coverages, 0..1: the area under the risk-coverage curve of N > 0 photos."""
    order = np.argsort(-answers.confidence, kind="stable")
    return float((np.cumsum(~answers.correct[order]) / np.arange(1, len(order) + 1)).mean())


def upper_bound(n_wrong: int, n: int, confidence: float) -> float:
    """The Clopper-Pearson upper bound of a share, one-sided, of `n_wrong` among `n` trials; 1 without trials."""
    return float(beta.ppf(confidence, n_wrong + 1, n - n_wrong)) if n_wrong < n else 1.0


class Threshold(NamedTuple):
    """The least confidence to answer, and the bound of the risk above it; None where no threshold keeps the promise."""

    value: float | None
    bound: float | None


def choose_threshold(answers: ScoredAnswers, rule: AbstainSettings) -> Threshold:
    """The lowest threshold whose risk is at most `rule.max_risk`, with the probability `rule.confidence`.

    A group of near-duplicates counts as one trial, which is wrong if one of its photos is.
    """
    trials = pd.DataFrame({"group": answers.groups, "confidence": answers.confidence, "correct": answers.correct})
    found = Threshold(None, None)
    for value in np.unique(answers.confidence)[::-1]:
        by_group = trials[trials["confidence"] >= value].groupby("group")["correct"].all()
        n, n_wrong = len(by_group), int((~by_group).sum())
        if upper_bound(0, n, rule.confidence) > rule.max_risk:
            continue  # too few to say anything, even if all are correct
        bound = upper_bound(n_wrong, n, rule.confidence)
        if bound > rule.max_risk:
            break
        found = Threshold(float(value), bound)
    return found


def figures(val: ScoredAnswers, test: ScoredAnswers, rule: AbstainSettings | None) -> dict[str, Any]:
    """Return the areas on val and test and, with a rule, the threshold and what it does on test.

    Empty for a split without photos. `is_kept` says whether the risk on test is at most the one asked for.
    """
    areas = {name: area(answers) for name, answers in (("val", val), ("test", test)) if len(answers.correct)}
    if rule is None:
        return {"area": areas}
    threshold = choose_threshold(val, rule)
    chosen = {"max_risk": rule.max_risk, "confidence": rule.confidence, "threshold": threshold.value}
    return {"area": areas, **chosen, "bound": threshold.bound, "test": _on_test(test, threshold.value, rule.max_risk)}


def _on_test(test: ScoredAnswers, threshold: float | None, max_risk: float) -> dict[str, Any]:
    answered = test.confidence >= (np.inf if threshold is None else threshold)
    n = int(answered.sum())
    if not n:
        return {"n": 0, "coverage": 0.0}
    risk = float((~test.correct[answered]).mean())
    return {"n": n, "coverage": n / len(answered), "risk": risk, "is_kept": risk <= max_risk}
