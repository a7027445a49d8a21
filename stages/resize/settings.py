"""Take the background away (or blur it, or keep it) and bring every crop into one frame, by default padded."""

from dataclasses import dataclass
from typing import Annotated, Literal

from stages.core import params
from stages.resize import frame

Channel = Annotated[int, params.Range(0, 255)]


@dataclass(frozen=True)
class ResizeParams:
    """`width` and `height` of the frame in pixels, what becomes of the background, and the file format.

    `fit` says how a crop fills the frame (`frame.fit`). `fill` (red, green, blue) is the colour of the padding and
    of a removed background. `blur` is the sigma of a blurred one as a share of the crop's longer side. `png` is
    without loss, `jpg` has quality 95.
    """

    width: Annotated[int, params.Range(16, 2048)]
    height: Annotated[int, params.Range(16, 2048)]
    background: Literal["remove", "blur", "keep"]
    fill: tuple[Channel, Channel, Channel]
    blur: Annotated[float, params.Range(0, 0.5)]
    format: Literal["png", "jpg"]
    fit: frame.Fit = "pad"

    @property
    def frame_wh(self) -> tuple[int, int]:
        """The frame's width and height in pixels."""
        return self.width, self.height
