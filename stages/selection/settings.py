"""The keys of section `crop` that select the main car and place the crop; several stages need them."""

from typing import Annotated

from pydantic import Field, field_validator

from stages.core.settings import Settings, Share
from stages.networks.catalogue import CLASS_NAMES


class SelectionSettings(Settings):
    """The rule for the main car.

    Boxes of the `classes` with at least `min_score` are candidates; the one of the highest rank, score x sqrt(area), is
    the main car, unless a limit rejects it.
    """

    classes: Annotated[tuple[str, ...], Field(min_length=1)] = Field(description="classes of the main car")
    min_score: Share = Field(description="boxes of a lower score are no candidates")
    min_area: Share = Field(description="smallest area of the box, as a share of the photo")
    min_aspect: Share = Field(description="smallest width / height where the photo's left or right edge cuts the box")
    max_aspect: Annotated[float, Field(ge=1, le=1000)] = Field(
        description="largest width / height where the photo's upper or lower edge cuts the box"
    )
    max_runner_up_ratio: Share = Field(
        description="rank of the next best vehicle, as a share of the best one's, that rejects the photo; 1 allows all"
    )
    margin: Share = Field(description="added to the box on every side, as a share of its longer side")

    @field_validator("classes")
    @classmethod
    def _are_known(cls, classes: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in classes if name not in CLASS_NAMES]
        if unknown:
            raise ValueError(f"expected names of {', '.join(CLASS_NAMES)}, found {unknown[0]!r}")
        return classes
