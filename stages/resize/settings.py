"""Section `resize` of params.yaml, for all entries of `inputs`."""

from typing import Annotated, Literal

from pydantic import Field

from stages.core.settings import Settings

Channel = Annotated[int, Field(ge=0, le=255)]


class ResizeSettings(Settings):
    """How backgrounds and padding are drawn, and the file format of the model inputs."""

    fill: tuple[Channel, Channel, Channel] = Field(description="red, green, blue of padding and removed background")
    blur: Annotated[float, Field(ge=0, le=0.5)] = Field(
        description="sigma of a blurred background, as a share of the crop's longer side"
    )
    format: Literal["png", "jpg"] = Field(description="`png` is lossless, `jpg` has quality 95")
