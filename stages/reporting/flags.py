"""Models that are so weak on val that a fault is likelier than a hard task."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from stages.reporting import paired
from stages.reporting.paired import Gap

# Of accuracy; a model this much below the best one is far below it, if chance does not explain the distance.
_FAR = 0.1

KINDS = {
    "not_above_probe": "no better than a linear classifier on the network as it was before training",
    "near_chance": "not surely better than always naming the commonest class",
    "far_below_best": "far below the best model",
}
# In the order in which it pays to look.
USUAL_SUSPECTS = (
    "classes in another order than the model's",
    "input scaled otherwise than the network wants",
    "a learning rate that wipes out what was learned before (look at the first epochs of the curve)",
    "statistics of batch normalisation that lag behind",
    "too few steps, or patience that ended the training early",
)


class Flag(NamedTuple):
    """What is wrong with `model`: a key of KINDS, and the difference in val accuracy that it rests on."""

    model: str
    kind: str
    gap: Gap


def flags(
    right: Mapping[str, np.ndarray], probes: Mapping[str, np.ndarray], labels: np.ndarray, groups: Sequence[str]
) -> list[Flag]:
    """Return what to suspect; `right` and `probes` hold by model whether it, or its probe, names each of N val photos
    (N,) bool rightly, `labels` (N,) are the true classes. Nothing without a photo.
    """
    if not len(labels):
        return []
    places = np.array(groups)
    commonest = labels == np.bincount(labels).argmax()
    best = max(right, key=lambda name: right[name].mean())
    found = []
    for name, own in right.items():
        over_probe, over_chance, over_best = (
            paired.gap(own.astype(float) - other.astype(float), places)
            for other in (probes[name], commonest, right[best])
        )
        found += [Flag(name, "not_above_probe", over_probe)] if over_probe.mean <= 0 and not own.all() else []
        found += [Flag(name, "near_chance", over_chance)] if over_chance.low <= 0 else []
        is_far = over_best.mean <= -_FAR and over_best.high < 0
        found += [Flag(name, "far_below_best", over_best)] if is_far else []
    return found


def sentence(flag: Flag) -> str:
    """Say it in words, with its figures."""
    gap = flag.gap
    return (
        f"{flag.model} is {KINDS[flag.kind]}: {100 * gap.mean:+.1f} points of val accuracy "
        f"({100 * gap.low:+.1f} to {100 * gap.high:+.1f})"
    )
