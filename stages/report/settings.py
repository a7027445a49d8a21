"""Section `report` of params.yaml."""

from typing import Annotated

from pydantic import Field

from stages.core.settings import Count, Settings


class ReportSettings(Settings):
    """How much the report shows."""

    photos_per_gallery: Count = Field(description="photos that a gallery shows at most")
    thumbnail: Annotated[int, Field(ge=32, le=1024)] = Field(description="longer side of a thumbnail in pixels")
    seed: int = Field(description="of the choice where a gallery cannot show all photos")
