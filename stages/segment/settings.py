"""Crops through a segmenter: pictures in, soft maps of the foremost object out."""

from dataclasses import dataclass

from stages.core import params
from stages.networks.catalogue import SEGMENTERS, Segmenter
from stages.networks.runtime import RuntimeParams


@dataclass(frozen=True)
class SegmentParams:
    """Section `segment`: how the networks are run, all of them alike."""

    runtime: RuntimeParams


@dataclass(frozen=True)
class SegmenterParams:
    """One entry of `segmenters`: a network and how the crop is shown to it.

    `flip` shows it mirrored and mirrors the map back. `input_px` is the side of the network's input where that
    is not to be the one it was trained with; only networks without fixed sizes inside take another.
    """

    network: str
    flip: bool = False
    input_px: params.Count | None = None

    def __post_init__(self) -> None:
        """Refuse a network that is not in the table."""
        if self.network not in SEGMENTERS:
            raise params.ParamError(
                f"segmenters.*.network: expected one of {', '.join(SEGMENTERS)}, found {self.network!r}"
            )

    @property
    def spec(self) -> Segmenter:
        """What the network takes and gives."""
        return SEGMENTERS[self.network]

    @property
    def side(self) -> int:
        """The side of the network's square input in pixels."""
        return self.input_px or self.spec.size
