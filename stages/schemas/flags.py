"""Flags of the audit: models so weak on val that a fault is likelier than a hard task."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

KINDS = {
    "no_gain_over_head": "never beat the linear head that its training started from",
    "not_above_probe": "is no better than a linear classifier on the network before training",
    "near_chance": "is not significantly better than always predicting the most frequent class",
    "far_below_best": "is far below the best model",
}
# The likeliest first.
LIKELY_CAUSES = (
    "classes in another order than the model's",
    "input scaled differently from what the network expects",
    "a learning rate that destroys the pretrained weights (see the first epochs of the curve)",
    "batch normalisation statistics that lag behind the weights",
    "too few steps, or a patience that ends the training early",
)


class Flag(NamedTuple):
    """`kind`, a key of KINDS, and the figures on val that it rests on.

    `no_gain_over_head` has log losses: `before` training and the `least` of all epochs. The other kinds have a
    difference in accuracy, `mean`, with its 95 % interval, `low` to `high`, over `n` photos.
    """

    model: str
    kind: str
    figures: dict[str, float]


def sentence(flag: Flag) -> str:
    """Describe the flag in a sentence with its figures."""
    start, figures = f"{flag.model} {KINDS[flag.kind]}: ", flag.figures
    if flag.kind == "no_gain_over_head":
        return f"{start}val log loss {figures['before']:.3f} before training, {figures['least']:.3f} at best after"
    return (
        f"{start}{100 * figures['mean']:+.1f} points of val accuracy ({100 * figures['low']:+.1f} to "
        f"{100 * figures['high']:+.1f}, n = {figures['n']})"
    )


def to_json(flags: Sequence[Flag]) -> dict[str, dict[str, dict[str, float]]]:
    """Return the figures by model and kind."""
    names = sorted({flag.model for flag in flags})
    return {name: {flag.kind: flag.figures for flag in flags if flag.model == name} for name in names}


def from_json(content: Mapping[str, Mapping[str, Any]]) -> list[Flag]:
    """Return the flags that `to_json` wrote, by model and in the order of KINDS."""
    return [
        Flag(name, kind, dict(by_kind[kind])) for name, by_kind in content.items() for kind in KINDS if kind in by_kind
    ]
