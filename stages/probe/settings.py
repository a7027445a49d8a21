"""The parameters of training, and the few numbers that follow from them alone."""

from dataclasses import dataclass
from typing import Annotated

from stages.core.params import Count, Positive, Range


@dataclass(frozen=True)
class ProbeParams:
    """Section `probe`: penalties to choose from out of fold, by so many `folds`, and the neighbours that tell how far
    a photo is from the others.
    """

    l2: tuple[Positive, ...] = (0.003, 0.01, 0.03, 0.1)
    folds: Annotated[int, Range(2)] = 5
    neighbours: Count = 5
