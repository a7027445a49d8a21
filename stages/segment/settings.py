"""Section `segment` and the entries of section `segmenters` of params.yaml."""

from pydantic import Field, field_validator

from stages.core.settings import Count, Settings
from stages.networks.catalogue import SEGMENTERS, Segmenter
from stages.networks.settings import InferenceSettings


class SegmentSettings(Settings):
    """How the segmenters are run, all of them alike."""

    inference: InferenceSettings = Field(description="how the networks are run")


class SegmenterSettings(Settings):
    """A network that draws a saliency map of every crop, and what it is shown of the crop."""

    network: str = Field(
        description="`u2netp_int8`, `u2netp`, `isnet`, or a segmentation network of GluonCV, `gluoncv/...`"
    )
    flip: bool = Field(False, description="run the mirrored crop, and mirror the map back")
    input_px: Count | None = Field(
        None, description="side of the network's input in pixels; null: the side of its training"
    )

    @field_validator("network")
    @classmethod
    def _is_known(cls, network: str) -> str:
        if network not in SEGMENTERS:
            raise ValueError(f"expected one of {', '.join(SEGMENTERS)}, found {network!r}")
        return network

    @property
    def spec(self) -> Segmenter:
        """What the network takes and gives."""
        return SEGMENTERS[self.network]

    @property
    def side(self) -> int:
        """The side of the network's square input in pixels."""
        return self.input_px or self.spec.size
