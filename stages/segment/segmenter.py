"""Crops through a segmenter: pictures in, soft maps of the foremost object out."""

import numpy as np

from stages.images import letterbox
from stages.networks.runtime import InferenceFn
from stages.segment.settings import SegmenterSettings


def prepare(crop: np.ndarray, view: SegmenterSettings) -> np.ndarray:
    """Squeeze `(H, W, 3)` uint8 RGB to the network's `(3, side, side)` float32, mirrored where asked, normalised.

    As in the networks' training, the aspect ratio is not kept.
    """
    spec = view.spec
    small = letterbox.resize(crop, view.side, view.side).astype(np.float32)
    scaled = small / (max(float(small.max()), 1.0) if spec.is_relative else 255)
    normalised = (scaled - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
    return np.ascontiguousarray(_mirrored(normalised.transpose(2, 0, 1), view.flip))


def segment(inputs: np.ndarray, network: InferenceFn, view: SegmenterSettings) -> np.ndarray:
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
