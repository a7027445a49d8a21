"""Segmenter inference: crops to saliency maps, the soft masks of the foremost object."""

import numpy as np

from stages.images import letterbox
from stages.networks.runtime import InferenceFn
from stages.segment.settings import SegmenterSettings


def prepare(crop: np.ndarray, view: SegmenterSettings) -> np.ndarray:
    """Resize `(H, W, 3)` uint8 RGB to the network's `(3, side, side)` float32, normalised, mirrored with `view.flip`.

    As in the networks' training, the aspect ratio is not kept.
    """
    spec = view.spec
    resized = letterbox.resize(crop, view.side, view.side).astype(np.float32)
    scaled = resized / (max(float(resized.max()), 1.0) if spec.is_relative else 255)
    normalised = (scaled - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
    return np.ascontiguousarray(_mirrored(normalised.transpose(2, 0, 1), view.flip))


def segment(inputs: np.ndarray, network: InferenceFn, view: SegmenterSettings) -> np.ndarray:
    """The saliency maps `(N, side, side)` uint8 of prepared crops `(N, 3, side, side)`, 255 = wholly the object.

    With `view.flip` the maps are mirrored back.
    """
    (outputs,) = network(inputs)
    maps = _mirrored(np.stack([output[0] for output in outputs]), view.flip)
    if view.spec.is_relative:
        low, high = (extreme(axis=(1, 2), keepdims=True) for extreme in (maps.min, maps.max))
        maps = (maps - low) / np.maximum(high - low, 1e-6)
    return (maps.clip(0, 1) * 255).round().astype(np.uint8)


def _mirrored(images: np.ndarray, is_flipped: bool) -> np.ndarray:
    """`(..., H, W)`, with left and right exchanged if `is_flipped`."""
    return images[..., ::-1] if is_flipped else images
