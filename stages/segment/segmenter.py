"""Segmenter inference: crops to saliency maps, the soft masks of the foremost object."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

import numpy as np

from stages.images import letterbox
from stages.networks import runtime
from stages.networks.runtime import InferenceFn
from stages.segment.settings import SegmenterSettings

# What tells one crop from others.
Key = TypeVar("Key")


def prepare(crop: np.ndarray, view: SegmenterSettings) -> np.ndarray:
    """Resize `(H, W, 3)` uint8 RGB to the network's `(3, side, side)` float32, normalised, mirrored with `view.flip`.

    As in the networks' training, the aspect ratio is not kept.
    """
    spec = view.spec
    resized = letterbox.resize(crop, view.side, view.side).astype(np.float32)
    scaled = resized / (max(float(resized.max()), 1.0) if spec.is_relative else 255)
    normalised = (scaled - np.array(spec.mean, np.float32)) / np.array(spec.std, np.float32)
    return np.ascontiguousarray(_mirrored(normalised.transpose(2, 0, 1), view.flip))


def segment(
    crops: Iterable[tuple[Key, np.ndarray]], network: InferenceFn, view: SegmenterSettings
) -> Iterator[tuple[Key, np.ndarray]]:
    """Yield the key of every prepared crop `(3, side, side)`, in order, with its saliency map.

    Maps are `(side, side)` uint8, 255 = wholly the object. With `view.flip` they are mirrored back.
    """
    for (key, _), (output,) in runtime.run_each(network, crops, lambda keyed: keyed[1]):
        saliency = _mirrored(output[0], view.flip)
        if view.spec.is_relative:
            low, high = saliency.min(), saliency.max()
            saliency = (saliency - low) / np.maximum(high - low, 1e-6)
        yield key, (saliency.clip(0, 1) * 255).round().astype(np.uint8)


def _mirrored(images: np.ndarray, is_flipped: bool) -> np.ndarray:
    """`(..., H, W)`, with left and right exchanged if `is_flipped`."""
    return images[..., ::-1] if is_flipped else images
