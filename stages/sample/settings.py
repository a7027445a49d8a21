"""Section `sample` of params.yaml."""

from typing import Annotated

from pydantic import Field

from stages.core.settings import Count, Settings


class SampleSettings(Settings):
    """The embedded sample that the project renders itself."""

    seed: int = Field(description="from which every photo is rendered")
    photos_per_class: Count = Field(description="regular photos of each of ten body types")
    width: Annotated[int, Field(ge=160, le=4096)] = Field(description="of the photos, in pixels")
    height: Annotated[int, Field(ge=120, le=4096)] = Field(description="of the photos, in pixels")
    jpeg_quality: Annotated[int, Field(ge=40, le=100)] = Field(description="of the photos' JPEG files")
