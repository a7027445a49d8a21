"""Section `report` of params.yaml."""

from typing import Annotated

from pydantic import Field

from stages.core.settings import Count, Settings


class ReportSettings(Settings):
    """The size of the report."""

    photos_per_gallery: Count = Field(description="largest number of photos of a gallery")
    thumbnail: Annotated[int, Field(ge=32, le=1024)] = Field(description="longer side of a thumbnail in pixels")
    seed: int = Field(description="of the sample if a gallery cannot show all photos")
