"""Several models as one: a weighted mean of their probabilities, made as sure as it should be.

Weights and temperature are fitted on photos held back from the models' training.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from stages.core.params import Count, Range, Share

SHRINKAGES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class EnsembleParams:
    """Section `ensemble`: how the models are weighed.

    With fewer than `min_val` photos to fit on, all models weigh the same. `method` `log_loss` minimises that, `greedy`
    picks models one by one. `shrink` is the share of equal weights mixed into the fitted ones, `auto` the one of
    `SHRINKS` that does best when fitted and judged on different val photos. `calibrate` fits a temperature. `hand` are
    weights given by hand, to be shown beside the fitted ones.
    """

    min_val: Count = 30
    method: Literal["log_loss", "greedy", "equal"] = "log_loss"
    shrink: Literal["auto"] | Share = "auto"
    calibrate: bool = True
    hand: dict[str, Annotated[float, Range(0)]] | None = None
