"""Segmenter inference: crops to saliency maps, the soft masks of the foremost object."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from stages.images import letterbox
from stages.networks import runtime
from stages.networks.runtime import InferenceFn
from stages.segment.settings import SegmenterSettings, SegmentSettings

# What tells one crop from others.
Key = TypeVar("Key")


def load_network(view: SegmenterSettings, settings: SegmentSettings, path: Path) -> InferenceFn:
    """The network of a segmenter in the file `path`, ready to run."""
    expected = np.empty((3, view.side, view.side), np.float32)
    return runtime.load(path, [view.spec.output], settings.inference, expected=expected)


def prepare(crop: np.ndarray, view: SegmenterSettings) -> np.ndarray:
    """Resize `(H, W, 3)` uint8 RGB to the network's `(3, side, side)` float32, normalised, mirrored with `view.flip`.

    As in the networks' training, the aspect ratio is not kept.
    """
    resized = letterbox.resize(crop, view.side, view.side)
    highest = max(float(resized.max()), 1.0) if view.spec.is_relative else 255
    # By a table of the 256 values in each channel: arithmetic on every pixel takes twice as long.
    planes = cv2.LUT(resized, _normalised(highest, view.spec.mean, view.spec.std)).transpose(2, 0, 1)
    return np.ascontiguousarray(_mirrored(planes, view.flip))


def _normalised(highest: float, mean: Sequence[float], std: Sequence[float]) -> np.ndarray:
    """What each value of a byte becomes in each channel, `(1, 256, 3)` float32; `highest` becomes 1 before that."""
    scaled = np.arange(256, dtype=np.float32)[None, :, None] / highest
    return np.asarray((scaled - np.array(mean, np.float32)) / np.array(std, np.float32))


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
