"""Section `resize` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from stages.images.settings import BackgroundSettings
from stages.resize.frame import Fit

Channel = Annotated[int, Field(ge=0, le=255)]
Pixels = Annotated[int, Field(ge=16, le=2048)]


class ResizeSettings(BackgroundSettings):
    """The size of what the models see, what becomes of the background, and the file format."""

    width: Pixels = Field(description="of the model inputs, in pixels")
    height: Pixels = Field(description="of the model inputs, in pixels")
    fit: Fit = Field(
        "pad",
        description="`pad` keeps the aspect ratio and fills the rest with `fill`, `reflect` with the mirrored crop; "
        "`squash` stretches the crop",
    )
    fill: tuple[Channel, Channel, Channel] = Field(description="red, green, blue of padding and removed background")
    blur: Annotated[float, Field(ge=0, le=0.5)] = Field(
        description="sigma of a blurred background, as a share of the crop's longer side"
    )
    format: Literal["png", "jpg"] = Field(description="`png` is lossless, `jpg` has quality 95")

    @property
    def frame_wh(self) -> tuple[int, int]:
        """The frame's width and height in pixels."""
        return self.width, self.height
