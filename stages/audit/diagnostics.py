"""Models that are so weak on val that a fault is likelier than a hard task."""

from collections.abc import Mapping, Sequence

import numpy as np

from stages.schemas.flags import Flag
from stages.scoring import paired

# Difference in accuracy from which a model is far below the best one, if the interval excludes zero.
_FAR_BELOW = 0.1


def weak_models(
    correct: Mapping[str, np.ndarray],
    probe_correct: Mapping[str, np.ndarray],
    labels: np.ndarray,
    groups: Sequence[str],
) -> list[Flag]:
    """Return the flags `not_above_probe`, `near_chance` and `far_below_best`; none without photos.

    `correct` and `probe_correct` hold by model, (N,) bool, whether it and its linear probe are correct on each of the
    N photos of val; `labels` (N,) are the true classes, `groups` N ids of near-duplicates.
    """
    if not len(labels):
        return []
    group_ids = np.array(groups)
    is_most_frequent = labels == np.bincount(labels).argmax()
    best = max(correct, key=lambda name: correct[name].mean())
    flags = []
    for name, own in correct.items():
        over_probe, over_chance, over_best = (
            paired.paired_bootstrap(own.astype(float) - other.astype(float), group_ids)
            for other in (probe_correct[name], is_most_frequent, correct[best])
        )
        rules = {
            "not_above_probe": (over_probe, over_probe.mean <= 0 and not own.all()),
            "near_chance": (over_chance, over_chance.low <= 0),
            "far_below_best": (over_best, over_best.mean <= -_FAR_BELOW and over_best.high < 0),
        }
        flags += [
            Flag(name, kind, {**difference._asdict(), "n": len(labels)})
            for kind, (difference, is_flagged) in rules.items()
            if is_flagged
        ]
    return flags


def not_improved(losses: Mapping[str, Sequence[float]]) -> list[Flag]:
    """Return the flags `no_gain_over_head`; `losses` holds by model the log loss on val of each epoch.

    Epoch 0, the first, is the linear head. A model without a later epoch is not flagged.
    """
    pairs = {name: (curve[0], min(curve[1:])) for name, curve in losses.items() if len(curve) > 1}
    return [
        Flag(name, "no_gain_over_head", {"before": before, "least": least})
        for name, (before, least) in pairs.items()
        if least >= before
    ]
