"""Section `detect` of params.yaml."""

from pydantic import Field, field_validator

from stages.core.settings import Count, Settings, Share
from stages.networks.catalogue import DETECTORS
from stages.networks.settings import InferenceSettings


class DetectSettings(Settings):
    """Which network finds objects, and down to which score its boxes are kept."""

    network: str = Field(description="`centernet_mobilenetv3`, or a CenterNet of GluonCV, `gluoncv/center_net_...`")
    min_score: Share = Field(description="boxes of every class are kept from this score on")
    max_boxes: Count = Field(description="boxes kept per photo, best score first")
    flip: bool = Field(False, description="also run the mirrored photo and average the heads, at twice the cost")
    inference: InferenceSettings = Field(description="how the network is run")

    @field_validator("network")
    @classmethod
    def _is_known(cls, network: str) -> str:
        if network not in DETECTORS:
            why = "; deformable convolutions (dcnv2) cannot be exported to ONNX" if "_dcnv2" in network else ""
            raise ValueError(f"expected one of {', '.join(DETECTORS)}, found {network!r}{why}")
        return network
