"""Section `novelty` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from stages.core.settings import Count, Settings

ScoreName = Literal[
    "local_outlier_factor", "max_softmax", "mahalanobis", "neighbours", "energy", "relative_mahalanobis"
]


class NoveltySettings(Settings):
    """When a photo shows none of the classes: its novelty is above a threshold."""

    scores: Annotated[tuple[ScoreName, ...], Field(min_length=1)] = Field(
        ("local_outlier_factor", "max_softmax", "mahalanobis"),
        description="of a network's features or logits; their standardised mean counts (docs/evaluation.md)",
    )
    max_false_alarms: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        None,
        description="such as 0.05: largest share of photos of known classes to be marked as unknown, on average, by "
        "the conformal quantile of val; null: none is marked",
    )
    neighbours: Count = Field(1, description="k of scores that compare with the k-th nearest photo of train")
    max_photos: Count = Field(
        5000, description="photos of train that a score compares with; of more, so many spread evenly"
    )

    @field_validator("scores")
    @classmethod
    def _are_different(cls, scores: tuple[ScoreName, ...]) -> tuple[ScoreName, ...]:
        for number, name in enumerate(scores):
            if name in scores[:number]:
                raise ValueError(f"expected each score once, found {name} again")
        return scores
