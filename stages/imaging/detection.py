"""Photographs through a CenterNet: pictures in, vehicle boxes in the photo's own pixels out."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from stages.imaging import boxes, centernet, images, letterbox
from stages.imaging.networks import Detector
from stages.imaging.runtime import Network, RuntimeParams
from stages.records import params

# The grey that fills what a photo leaves free of the square input; between dark and light, so it makes no edge.
_FILL = 114
# A photo is decoded no smaller than this times the input, so that what shrinks it the rest of the way is the same
# for all photos: the average of areas.
_OVERSAMPLING = 2


@dataclass(frozen=True)
class DetectParams:
    """Which network finds vehicles, and down to which score its boxes are kept."""

    network: Literal["centernet_mobilenetv3"]
    min_score: params.Share
    max_boxes: params.Count
    runtime: RuntimeParams


def prepare(content: bytes, size: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Decode a photo, given the bytes of its file, and letterbox it to the network's `(size, size, 3)` uint8 RGB.

    Also returns the photo's own width and height, which the boxes are in. Raises ImageError as
    `images.decode_photo` does.
    """
    photo = images.decode_photo(content, images.at_least(_OVERSAMPLING * size))
    return letterbox.letterbox(photo.picture, (size, size), _FILL, photo.size_wh), photo.size_wh


def detect(
    inputs: np.ndarray, sizes_wh: list[tuple[int, int]], network: Network, spec: Detector, settings: DetectParams
) -> list[centernet.Detections]:
    """Vehicle boxes of a batch of prepared photos.

    `inputs` is `(N, size, size, 3)` uint8 RGB, `sizes_wh` the photos' own sizes. Boxes come in pixels of the photo,
    cut at its edges; classes are the network's own numbers, those of `spec.vehicles` alone.
    """
    heatmaps, extents = network(inputs.astype(np.float32))
    vehicles = np.array(sorted(spec.vehicles))
    results = []
    for heatmap, extent, size_wh in zip(heatmaps, extents, sizes_wh):
        found = centernet.decode(heatmap[..., vehicles], extent, spec.stride, settings.max_boxes, settings.min_score)
        corners = to_photo(found.boxes, size_wh, spec.size)
        results.append(centernet.Detections(corners, found.scores, vehicles[found.classes]))
    return results


def to_photo(corners: np.ndarray, size_wh: tuple[int, int], input_size: int) -> np.ndarray:
    """Bring boxes `(N, 4)` float32 from pixels of the letterboxed input to those of the photo, cut at its edges."""
    place = letterbox.place(*size_wh, (input_size, input_size))
    offset = np.array([place.left, place.top] * 2, dtype=np.float32)
    scale = np.array([size_wh[0] / place.width, size_wh[1] / place.height] * 2, dtype=np.float32)
    return boxes.clip((corners - offset) * scale, *size_wh)


def rounded(found: centernet.Detections) -> tuple[np.ndarray, np.ndarray]:
    """Boxes `(N, 4)` in hundredths of a pixel and scores `(N,)` in steps of 0.0001, float64, as tables keep them."""
    return found.boxes.astype(np.float64).round(2), found.scores.astype(np.float64).round(4)
