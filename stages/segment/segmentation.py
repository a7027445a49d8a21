"""Let one segmenter draw its soft map of every crop; the mask stage makes one mask of the maps of all."""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages.core import archive, batches, progress
from stages.core.archive import Archive
from stages.images import images
from stages.networks import runtime
from stages.networks.inference_cache import InferenceCache, code_digest, digest_of
from stages.networks.runtime import InferenceFn
from stages.schemas import crops, masks
from stages.segment import segmenter
from stages.segment.settings import SegmenterSettings, SegmentSettings


class SegmenterInput(NamedTuple):
    """One crop ready for the network; None where it cannot be read."""

    image_id: str
    picture: np.ndarray | None


def read_input(pictures: Archive, view: SegmenterSettings, image_id: str) -> SegmenterInput:
    """Decode the crop of one photo and prepare it for the network."""
    try:
        crop = images.stored_picture(pictures, crops.picture_of(image_id))
        return SegmenterInput(image_id, segmenter.prepare(crop, view))
    except images.ImageError:
        return SegmenterInput(image_id, None)


def segment_all(
    image_ids: list[str], pictures: Archive, network: InferenceFn, view: SegmenterSettings, batch_size: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the image id and the map `(side, side)` uint8 of every crop that can be read, in order."""
    prepared = batches.ordered_thread_map(partial(read_input, pictures, view), image_ids, ahead=2 * batch_size)
    tracked = progress.track(prepared, len(image_ids), "crop", "segment")
    for group in batches.batched((crop for _, crop in tracked), batch_size):
        kept = [(crop.image_id, crop.picture) for crop in group if crop.picture is not None]
        if kept:
            names, ready = zip(*kept)
            yield from zip(names, segmenter.segment(np.stack(ready), network, view))


def load_network(networks: Path, view: SegmenterSettings, settings: SegmentSettings) -> InferenceFn:
    """The network of a segmenter, ready to run."""
    return runtime.load(networks / view.spec.file, [view.spec.output], settings.inference, view.input_px)


def cache_key(networks: Path, view: SegmenterSettings, settings: SegmentSettings) -> dict[str, object]:
    """What the map of a crop depends on beside the crop: the network, how it is shown and run, code, machine."""
    return {
        "network": digest_of([runtime.require_network(networks / view.spec.file)]),
        "spec": asdict(view.spec),
        "side": view.side,
        "settings": [view.model_dump(), settings.model_dump()],
        # `images` decodes the crops and encodes the maps.
        "code": code_digest("stages.segment.segmenter", "stages.images.images"),
        "system": runtime.describe_runtime(settings.inference),
    }


def digests(image_ids: list[str], pictures: Archive) -> dict[str, str]:
    """The SHA-256 of the crop of each photo that has one, by image id: the rule decides what of a photo is cropped."""

    def digest(image_id: str) -> str:
        try:
            return hashlib.sha256(images.stored(pictures, crops.picture_of(image_id))).hexdigest()
        except images.ImageError:
            return ""

    found = batches.ordered_thread_map(digest, image_ids, ahead=32)
    return {image_id: key for image_id, key in found if key}


def run_inference(
    new: dict[str, str], pictures: Archive, networks: Path, view: SegmenterSettings, settings: SegmentSettings
) -> Iterator[tuple[str, bytes]]:
    """Yield crop digest and encoded map of each crop, given as digests by image id, that can be read."""
    if new:
        network = load_network(networks, view, settings)
        for name, plane in segment_all(list(new), pictures, network, view, settings.inference.batch_size):
            yield new[name], images.encode(plane, ".png")


def write_maps(keys: dict[str, str], cache: InferenceCache, path: Path) -> int:
    """Write the map of every photo whose crop has one, from the crops' digests by image id; how many there are."""
    count = 0
    with archive.writing(path) as add:
        for image_id, key in keys.items():
            for _, content in cache.get_many([key]):
                add(masks.picture_of(image_id), content)
                count += 1
    return count
