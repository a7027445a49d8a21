"""Models that are so weak on val that a fault is likelier than a hard task."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

KINDS = {
    "head_kept": "never beat the linear head that its training began with",
    "not_above_probe": "is no better than a linear classifier on the network as it was before training",
    "near_chance": "is not surely better than always naming the commonest class",
    "far_below_best": "is far below the best model",
}
# In the order in which it pays to look.
LIKELY_CAUSES = (
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
