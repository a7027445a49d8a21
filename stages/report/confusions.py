"""Which classes the ensemble confuses on test, and which it knows worst."""

from typing import NamedTuple

import numpy as np

from stages.report.counts import Recall


class ConfusedPair(NamedTuple):
    """Two classes and how many test photos of each are predicted as the other."""

    first: str
    second: str
    first_as_second: int
    second_as_first: int

    @property
    def times(self) -> int:
        """Wrong predictions between both."""
        return self.first_as_second + self.second_as_first


def confused_pairs(matrix: np.ndarray, classes: list[str]) -> list[ConfusedPair]:
    """The pairs of classes with wrong predictions between them, the most frequent first.

    `matrix` is the confusion matrix `(C, C)`. `first` is the class that is mistaken more often; of equally frequent
    pairs, the one of the earlier classes comes first.
    """
    both = np.triu(matrix + matrix.T, k=1)
    places = np.argwhere(both)
    order = np.argsort(-both[tuple(places.T)], kind="stable")
    pairs = []
    for one, other in places[order].tolist():
        first, second = (one, other) if matrix[one, other] >= matrix[other, one] else (other, one)
        names = classes[first], classes[second]
        pairs.append(ConfusedPair(*names, int(matrix[first, second]), int(matrix[second, first])))
    return pairs


def worst_first(recalls: list[Recall]) -> list[Recall]:
    """The recalls in ascending order; of equal ones, the class with more wrong photos first; without photos last."""
    return sorted(recalls, key=lambda row: (row.share is None, row.share or 0.0, row.correct - row.total))


def most_confused(pairs: list[ConfusedPair], n_classes: int) -> set[str]:
    """At most `n_classes` classes: those of the first `pairs`."""
    chosen: list[str] = []
    for pair in pairs:
        new = [name for name in (pair.first, pair.second) if name not in chosen]
        if len(chosen) + len(new) > n_classes:
            break
        chosen += new
    return set(chosen)
