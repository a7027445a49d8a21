"""The detector with its threshold from val, and what it does on test."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from stages.core.errors import UserError
from stages.novelty import detector
from stages.novelty.detector import MemberOutputs, NoveltyDetector
from stages.novelty.settings import NoveltySettings
from stages.schemas.split_data import SplitData


class FittedNovelty(NamedTuple):
    """The detector, None where no photo is to be marked, and the figures of `metrics/novelty.json`."""

    detector: NoveltyDetector | None
    details: dict[str, Any]


def fit_threshold(
    outputs: Mapping[str, MemberOutputs],
    splits: Mapping[str, SplitData],
    rule: NoveltySettings,
    max_false_alarms: float,
) -> FittedNovelty:
    """Fit on train, take the threshold from val, count the false alarms on test, whose split may lack.

    Raises UserError without photos of train or of val.
    """
    for name in ("train", "val"):
        if name not in splits:
            raise UserError(f"novelty.max_false_alarms: expected photos of the split {name}, found none; set null")
    val = splits["val"]
    fitted = detector.fit(outputs["train"], splits["train"].labels, outputs["val"], rule)
    threshold = detector.conformal_threshold(fitted(outputs["val"]), val.groups, max_false_alarms)
    fitted = fitted._replace(threshold=threshold)
    counts = {name: _count(fitted, outputs[name]) for name in ("val", "test") if name in splits}
    rules = {"scores": rule.scores, "max_false_alarms": max_false_alarms}
    return FittedNovelty(fitted, {**rules, "threshold": threshold if threshold < float("inf") else None, **counts})


def _count(fitted: NoveltyDetector, outputs: MemberOutputs) -> dict[str, float | int]:
    is_unknown = fitted(outputs) > fitted.threshold
    return {"n": len(is_unknown), "unknown": int(is_unknown.sum()), "false_alarms": float(is_unknown.mean())}
