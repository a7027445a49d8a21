"""CenterNet inference: photos to boxes of every class in pixels of the photo."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from stages.core.batches import batched
from stages.detect import centernet
from stages.detect.settings import DetectSettings
from stages.images import boxes, images, letterbox
from stages.networks import runtime
from stages.networks.catalogue import DETECTORS, Detector
from stages.networks.runtime import InferenceFn

# The padding of the square input: a medium grey, which makes no edge, or the black that warped photos had in training.
_FILLS = {"letterbox": 114, "warp": 0}
# A photo is decoded at this times the input size or more, so that the same filter shrinks all photos to the input.
_OVERSAMPLING = 2
# What tells one photo from others.
Key = TypeVar("Key")


class DetectorInput(NamedTuple):
    """One photo ready for the network: `image` `(H, W, 3)` uint8 RGB, and the photo's full width and height."""

    image: np.ndarray
    size_wh: tuple[int, int]


def load_network(settings: DetectSettings, path: Path) -> InferenceFn:
    """The network in the file `path`, ready to run."""
    spec = DETECTORS[settings.network]
    return runtime.load(path, spec.outputs, settings.inference, spec.f32_nodes)


def prepare(content: bytes, spec: Detector) -> DetectorInput:
    """Decode a photo, given its file's bytes, into the network's input, as in training.

    That is the `window` of a square of `size` pixels with the photo in its middle. Raises ImageError as
    `images.decode_photo` does.
    """
    photo = images.decode_photo(content, images.at_least(_OVERSAMPLING * spec.size))
    resize = letterbox.warp if spec.fit == "warp" else letterbox.letterbox
    square = resize(photo.image, (spec.size, spec.size), _FILLS[spec.fit], photo.size_wh)
    left, top, right, bottom = window(photo.size_wh, spec)
    return DetectorInput(square[top:bottom, left:right], photo.size_wh)


def window(size_wh: tuple[int, int], spec: Detector) -> tuple[int, int, int, int]:
    """The part of the square that the network sees of a photo of `size_wh`: left, top, right, bottom in its pixels.

    As many whole cells of `spec.cell` are cut off on opposite sides as leave one cell or more of padding there: the
    photo's border is no border of the input, and the grids of the network lie as in the square.
    """
    if spec.cell is None:
        return 0, 0, spec.size, spec.size
    place = letterbox.place(*size_wh, (spec.size, spec.size))
    left, top = (max(0, padding - spec.cell) // spec.cell * spec.cell for padding in (place.left, place.top))
    return left, top, spec.size - left, spec.size - top


def detect(
    photos: Iterable[tuple[Key, DetectorInput]], network: InferenceFn, spec: Detector, settings: DetectSettings
) -> Iterator[tuple[Key, centernet.Detections]]:
    """Yield the key of every photo, in order, with its boxes of every class.

    Boxes are in pixels of the photo, clipped to it; classes are indices into `spec.classes`.
    """
    for (key, photo), (heatmap, extents) in predict_heads(photos, network, spec, settings.flip):
        objects = centernet.decode(heatmap, extents, spec.stride, settings.max_boxes, settings.min_score)
        yield key, objects._replace(boxes=to_photo(objects.boxes, photo.size_wh, spec))


def predict_heads(
    photos: Iterable[tuple[Key, DetectorInput]], network: InferenceFn, spec: Detector, is_flipped: bool
) -> Iterator[tuple[tuple[Key, DetectorInput], Sequence[np.ndarray]]]:
    """Yield every photo with its heads: heat map `(rows, columns, C)` and extents `(rows, columns, 4)`, float32.

    With `is_flipped`, the mean of those of the image and of its mirror image (arXiv 1904.07850, section 5).
    """
    if not is_flipped:
        yield from runtime.run_each(network, photos, lambda keyed: keyed[1].image)
        return
    views = ((keyed, image) for keyed in photos for image in (keyed[1].image, keyed[1].image[:, ::-1]))
    of_views = runtime.run_each(network, views, lambda view: view[1])
    for ((keyed, _), (heatmap, extents)), (_, (other_heatmap, other_extents)) in batched(of_views, 2):
        unmirrored = centernet.unmirrored(other_extents, spec.stride)
        yield keyed, ((heatmap + other_heatmap[:, ::-1]) / 2, (extents + unmirrored) / 2)


def to_photo(corners: np.ndarray, size_wh: tuple[int, int], spec: Detector) -> np.ndarray:
    """Transform boxes `(N, 4)` float32 from pixels of the network's input to pixels of the photo, clipped to it."""
    place = letterbox.place_unrounded if spec.fit == "warp" else letterbox.place
    width, height, left, top = place(*size_wh, (spec.size, spec.size))
    window_left, window_top, *_ = window(size_wh, spec)
    offset = np.array([left - window_left, top - window_top] * 2, dtype=np.float32)
    scale = np.array([size_wh[0] / width, size_wh[1] / height] * 2, dtype=np.float32)
    return boxes.clip((corners - offset) * scale, *size_wh)


def pack(objects: centernet.Detections) -> bytes:
    """The objects of one photo as bytes: rows of four corners, score and class number, float32."""
    return np.column_stack([objects.boxes, objects.scores, objects.classes]).astype(np.float32).tobytes()


def unpack(content: bytes) -> centernet.Detections:
    """The objects of one photo from the bytes that `pack` returned."""
    rows = np.frombuffer(content, np.float32).reshape(-1, 6)
    return centernet.Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64))


def rounded(objects: centernet.Detections) -> tuple[np.ndarray, np.ndarray]:
    """Boxes `(N, 4)` rounded to 0.01 pixels and scores `(N,)` to 0.0001, float64, as in tables."""
    return objects.boxes.astype(np.float64).round(2), objects.scores.astype(np.float64).round(4)
