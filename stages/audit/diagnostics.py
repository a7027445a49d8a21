"""Models that are so weak on val that a fault is likelier than a hard task."""

from collections.abc import Mapping, Sequence

import numpy as np

from stages.schemas.flags import Flag
from stages.scoring import paired

# Of accuracy; a model this much below the best one is far below it, if chance does not explain the distance.
_FAR = 0.1


def weak_models(
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
            paired.paired_bootstrap(own.astype(float) - other.astype(float), places)
            for other in (probes[name], commonest, right[best])
        )
        gaps = {
            "not_above_probe": (over_probe, over_probe.mean <= 0 and not own.all()),
            "near_chance": (over_chance, over_chance.low <= 0),
            "far_below_best": (over_best, over_best.mean <= -_FAR and over_best.high < 0),
        }
        found += [Flag(name, kind, {**gap._asdict(), "n": len(labels)}) for kind, (gap, is_so) in gaps.items() if is_so]
    return found


def not_improved(losses: Mapping[str, Sequence[float]]) -> list[Flag]:
    """Return the models whose training gained nothing; `losses` holds by model the log loss on val, epoch by epoch.

    Epoch 0, the first, is the linear head; with none after it nothing was tried, and nothing is said.
    """
    pairs = {name: (curve[0], min(curve[1:])) for name, curve in losses.items() if len(curve) > 1}
    return [
        Flag(name, "head_kept", {"before": before, "least": least})
        for name, (before, least) in pairs.items()
        if least >= before
    ]
