"""The classes of one photo by probability: what the page suggests."""

from typing import NamedTuple

import numpy as np

from stages.commands.reviewing.responses import RankedClass

N_TOP = 5
_DIGITS = 4


class ClassRanking(NamedTuple):
    """`suggestions`, all classes, the likeliest first; `rows`, the first ones and what else a reader looks for."""

    suggestions: list[str]
    rows: list[RankedClass]


def rank(classes: list[str], predicted: list[np.ndarray], leading: str, label: str) -> ClassRanking:
    """Rank C `classes` by the first of the probabilities (C,) in `predicted`, which comes from the best predictor.

    Without any, `leading` (may be empty) is first, then the order of the classes. The rows are the first N_TOP, the
    `label`, and the likeliest class of each predictor.
    """
    if predicted:
        order = np.argsort(-predicted[0], kind="stable").tolist()
    else:
        order = sorted(range(len(classes)), key=lambda number: classes[number] != leading)
    best = {classes[int(values.argmax())] for values in predicted} | {label}
    shown = [number for rank, number in enumerate(order) if rank < N_TOP or classes[number] in best]
    rows = [
        RankedClass(
            label=classes[number], probabilities=[round(float(values[number]), _DIGITS) for values in predicted]
        )
        for number in shown
    ]
    return ClassRanking([classes[number] for number in order], rows)
