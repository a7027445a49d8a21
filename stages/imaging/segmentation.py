"""Crops through a segmenter: pictures in, soft masks of the crop's own size out; and which masks to believe."""

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from stages.imaging import letterbox
from stages.imaging.networks import Segmenter
from stages.imaging.runtime import Network, RuntimeParams
from stages.records import params


@dataclass(frozen=True)
class SegmentParams:
    """Which network draws masks, and how much of a crop a mask must and may cover to be used."""

    network: Literal["u2netp"]
    min_coverage: params.Share
    max_coverage: params.Share
    runtime: RuntimeParams

    def __post_init__(self) -> None:
        """Refuse limits that no mask can meet."""
        if self.min_coverage > self.max_coverage:
            raise params.ParamError(
                f"segment.min_coverage: expected at most max_coverage = {self.max_coverage}, found {self.min_coverage}"
            )


def prepare(crop: np.ndarray, spec: Segmenter) -> np.ndarray:
    """Squeeze `(H, W, 3)` uint8 RGB to the network's `(3, size, size)` float32, normalised.

    As in the network's training, the aspect ratio is not kept and the brightest value counts as 1
    (Qin et al.: U2-Net, arXiv 2005.09007; its reference code's RescaleT and ToTensorLab).
    """
    small = letterbox.resize(crop, spec.size, spec.size).astype(np.float32)
    scaled = small / max(float(small.max()), 1.0)
    normalised = (scaled - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
    return np.ascontiguousarray(normalised.transpose(2, 0, 1))


def segment(inputs: np.ndarray, sizes_wh: list[tuple[int, int]], network: Network) -> list[np.ndarray]:
    """Masks of a batch of prepared crops `(N, 3, size, size)`: `(H, W)` uint8 each, 255 = wholly the object.

    Each map is stretched to 0..1 by itself, as the network's authors do, then brought to its crop's size.
    """
    (maps,) = network(inputs)
    masks = []
    for plane, size_wh in zip(maps[:, 0], sizes_wh):
        low, high = float(plane.min()), float(plane.max())
        alpha = (plane - low) / max(high - low, 1e-6)
        mask = cv2.resize(alpha, size_wh, interpolation=cv2.INTER_LINEAR)
        masks.append((mask * 255).round().astype(np.uint8))
    return masks


def coverage(mask: np.ndarray) -> float:
    """The mean of an `(H, W)` uint8 mask as a share, 0..1."""
    return float(mask.mean()) / 255


def judge(share: float, settings: SegmentParams) -> str:
    """Why a mask of this coverage is not to be used: `mask_too_small`, `mask_too_large`, or empty if it is."""
    if share < settings.min_coverage:
        return "mask_too_small"
    return "mask_too_large" if share > settings.max_coverage else ""
