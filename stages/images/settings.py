"""What becomes of the background, for the stages that make masks and for the one that uses them."""

from typing import Literal

from pydantic import Field

from stages.core.settings import Settings


class BackgroundSettings(Settings):
    """The key `background` of section `resize`."""

    background: Literal["remove", "blur", "keep"] = Field(description="what becomes of the pixels outside the mask")

    @property
    def uses_masks(self) -> bool:
        """Whether any mask is needed; else no segmenter runs."""
        return self.background != "keep"
