"""Photographs through a CenterNet: pictures in, boxes of every class in the photo's own pixels out."""

from dataclasses import dataclass

from stages.core import params
from stages.networks.catalogue import DETECTORS
from stages.networks.runtime import RuntimeParams


@dataclass(frozen=True)
class DetectParams:
    """Which network finds objects, and down to which score its boxes are kept.

    `flip` also shows it every photo mirrored, at twice the cost, and decodes the mean of both answers.
    """

    network: str
    min_score: params.Share
    max_boxes: params.Count
    runtime: RuntimeParams
    flip: bool = False

    def __post_init__(self) -> None:
        """Refuse a network that is not there, and say which are."""
        if self.network not in DETECTORS:
            why = "; deformable convolutions (dcnv2) cannot be exported to ONNX" if "_dcnv2" in self.network else ""
            raise params.ParamError(
                f"detect.network: expected one of {', '.join(DETECTORS)}, found {self.network!r}{why}"
            )
