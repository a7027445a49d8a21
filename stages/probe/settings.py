"""Section `probe` of params.yaml."""

from typing import Annotated

from pydantic import Field

from stages.core.settings import Count, Positive, Settings


class ProbeSettings(Settings):
    """A linear classifier on each network before its training, which the trained model must beat."""

    l2: Annotated[tuple[Positive, ...], Field(min_length=1)] = Field(
        (0.003, 0.01, 0.03, 0.1), description="penalties to choose from by out-of-fold log loss"
    )
    folds: Annotated[int, Field(ge=2)] = Field(5, description="of the train split, near-duplicates kept together")
    neighbours: Count = Field(5, description="nearest training photos whose mean distance is a photo's outlier score")
