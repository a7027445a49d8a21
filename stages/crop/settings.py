"""Section `crop` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from stages.selection.settings import SelectionSettings


class CropSettings(SelectionSettings):
    """The rule for the main car, and what is cut out.

    Boxes of the `classes` with at least `min_score` are candidates; the one of the highest rank, score x sqrt(area), is
    the main car, unless a limit rejects it.
    """

    mode: Literal["box", "full_image"] = Field(description="`full_image` uses every photo whole, to compare with")
    on_no_box: Literal["full_image", "drop"] = Field(
        description="what becomes of a photo without a main car: used whole, or left out"
    )
    max_side: Annotated[int, Field(ge=16, le=8192)] = Field(
        description="longer side of a crop in pixels; a larger crop is shrunk to it"
    )
