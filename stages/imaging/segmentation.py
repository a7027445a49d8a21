"""Crops through a segmenter: pictures in, soft maps of the foremost object out."""

from dataclasses import dataclass

import numpy as np

from stages.imaging import letterbox
from stages.imaging.networks import SEGMENTERS, Segmenter
from stages.imaging.runtime import Network, RuntimeParams
from stages.records import params


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


def prepare(crop: np.ndarray, view: SegmenterParams) -> np.ndarray:
    """Squeeze `(H, W, 3)` uint8 RGB to the network's `(3, side, side)` float32, mirrored where asked, normalised.

    As in the networks' training, the aspect ratio is not kept.
    """
    spec = view.spec
    small = letterbox.resize(crop, view.side, view.side).astype(np.float32)
    scaled = small / (max(float(small.max()), 1.0) if spec.is_relative else 255)
    normalised = (scaled - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
    return np.ascontiguousarray(_mirrored(normalised.transpose(2, 0, 1), view.flip))


def segment(inputs: np.ndarray, network: Network, view: SegmenterParams) -> np.ndarray:
    """The soft maps `(N, side, side)` uint8 of prepared crops `(N, 3, side, side)`, 255 = wholly the object.

    They lie as the crops do, mirrored back where those were shown mirrored.
    """
    (maps,) = network(inputs)
    alphas = _mirrored(np.stack([plane[0] for plane in maps]), view.flip)
    if view.spec.is_relative:
        low, high = (extreme(axis=(1, 2), keepdims=True) for extreme in (alphas.min, alphas.max))
        alphas = (alphas - low) / np.maximum(high - low, 1e-6)
    return (alphas.clip(0, 1) * 255).round().astype(np.uint8)


def _mirrored(planes: np.ndarray, is_flipped: bool) -> np.ndarray:
    """`(..., H, W)`, left and right exchanged where asked."""
    return planes[..., ::-1] if is_flipped else planes
