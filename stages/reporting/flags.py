"""Models that are so weak on val that a fault is likelier than a hard task."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from stages.reporting import paired

# Of accuracy; a model this much below the best one is far below it, if chance does not explain the distance.
_FAR = 0.1

KINDS = {
    "head_kept": "never beat the linear head that its training began with",
    "not_above_probe": "is no better than a linear classifier on the network as it was before training",
    "near_chance": "is not surely better than always naming the commonest class",
    "far_below_best": "is far below the best model",
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
    """What is wrong with `model`: a key of KINDS, and the figures on val that it rests on.

    Those of `head_kept` are log losses, `before` any training and the `least` after an epoch of it; those of the others
    a difference in accuracy, `mean`, and its interval, `low` to `high`, over `n` photos.
    """

    model: str
    kind: str
    figures: dict[str, float]


def weak(
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
        gaps = {
            "not_above_probe": (over_probe, over_probe.mean <= 0 and not own.all()),
            "near_chance": (over_chance, over_chance.low <= 0),
            "far_below_best": (over_best, over_best.mean <= -_FAR and over_best.high < 0),
        }
        found += [Flag(name, kind, {**gap._asdict(), "n": len(labels)}) for kind, (gap, is_so) in gaps.items() if is_so]
    return found


def stalled(losses: Mapping[str, Sequence[float]]) -> list[Flag]:
    """Return the models whose training gained nothing; `losses` holds by model the log loss on val, epoch by epoch.

    Epoch 0, the first, is the linear head; with none after it nothing was tried, and nothing is said.
    """
    pairs = {name: (curve[0], min(curve[1:])) for name, curve in losses.items() if len(curve) > 1}
    return [
        Flag(name, "head_kept", {"before": before, "least": least})
        for name, (before, least) in pairs.items()
        if least >= before
    ]


def sentence(flag: Flag) -> str:
    """Say it in words, with its figures."""
    start, of = f"{flag.model} {KINDS[flag.kind]}: ", flag.figures
    if flag.kind == "head_kept":
        return f"{start}val log loss {of['before']:.3f} before training, {of['least']:.3f} at best after"
    return (
        f"{start}{100 * of['mean']:+.1f} points of val accuracy ({100 * of['low']:+.1f} to {100 * of['high']:+.1f}, "
        f"n = {of['n']})"
    )


def as_metrics(found: Sequence[Flag]) -> dict[str, dict[str, dict[str, float]]]:
    """Return the figures by model and kind, as DVC shows and compares them."""
    names = sorted({flag.model for flag in found})
    return {name: {flag.kind: flag.figures for flag in found if flag.model == name} for name in names}


def from_metrics(content: Mapping[str, Mapping[str, Any]]) -> list[Flag]:
    """Return the flags that `as_metrics` laid down, by model, each model's in the order of KINDS."""
    return [
        Flag(name, kind, dict(of_model[kind]))
        for name, of_model in content.items()
        for kind in KINDS
        if kind in of_model
    ]
