"""Run one segmenter on every crop; the mask stage combines the maps of all segmenters."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np

from stages.core import batches, progress, shard_writer
from stages.core.archive import Archive, ReadsArchive
from stages.core.result_cache import ResultCache, code_digest, digest_of
from stages.core.shard_writer import Made, ShardFolder
from stages.images import archived, images
from stages.networks import runtime
from stages.networks.runtime import InferenceFn
from stages.schemas import crops, masks
from stages.segment import segmenter
from stages.segment.settings import SegmenterSettings, SegmentSettings

# From image ids of crops to ids and encoded maps, in order; an empty map for a crop that has none.
MapsFn = Callable[[list[str]], Iterable[tuple[str, bytes]]]


def read_input(crop_archive: ReadsArchive, view: SegmenterSettings, image_id: str) -> np.ndarray | None:
    """Decode the crop of one photo and prepare it for the network; None where it cannot be read."""
    try:
        return segmenter.prepare(archived.read_image(crop_archive, crops.file_name(image_id)), view)
    except images.ImageError:
        return None


def segment_all(
    image_ids: list[str], crop_archive: ReadsArchive, network: InferenceFn, view: SegmenterSettings, batch_size: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the image id and the map `(side, side)` uint8 of every crop that can be read, in order."""
    prepared = batches.ordered_thread_map(partial(read_input, crop_archive, view), image_ids, ahead=2 * batch_size)
    tracked = progress.track(prepared, len(image_ids), "crop", "segment")
    readable = ((image_id, crop) for image_id, crop in tracked if crop is not None)
    yield from segmenter.segment(readable, network, view)


def cache_key(
    networks: Path, view: SegmenterSettings, settings: SegmentSettings, system: Mapping[str, str]
) -> dict[str, object]:
    """What the map of a crop depends on beside the crop: the network, its input, settings, code, and the `system`.

    `system` is what `runtime.describe_runtime` says where the network runs.
    """
    return {
        "network": digest_of([runtime.require_network(networks / view.spec.file)]),
        "spec": asdict(view.spec),
        "side": view.side,
        "settings": [view.model_dump(), settings.model_dump()],
        # `images` decodes the crops and encodes the maps.
        "code": code_digest("stages.segment.segmenter", "stages.images.images"),
        "system": dict(system),
    }


def digests(image_ids: list[str], crop_archive: Archive) -> dict[str, str]:
    """The SHA-256 of the crop of each photo that has one, by image id: one photo has other crops under other rules."""

    def digest(image_id: str) -> str:
        try:
            return hashlib.sha256(archived.read_bytes(crop_archive, crops.file_name(image_id))).hexdigest()
        except images.ImageError:
            return ""

    keys = batches.ordered_thread_map(digest, image_ids, ahead=32)
    return {image_id: key for image_id, key in keys if key}


def run_inference(
    new: dict[str, str], crop_archive: Archive, networks: Path, view: SegmenterSettings, settings: SegmentSettings
) -> Iterator[tuple[str, bytes]]:
    """Yield crop digest and encoded map of each crop, given as digests by image id, that can be read."""
    if new:
        network = segmenter.load_network(view, settings, networks / view.spec.file)
        for image_id, saliency_map in segment_all(
            list(new), crop_archive, network, view, settings.inference.batch_size
        ):
            yield new[image_id], images.encode(saliency_map, ".png")


def write_maps(
    archive: ShardFolder,
    by_shard: Mapping[str, list[str]],
    crop_archive: Archive,
    key: Mapping[str, object],
    maps_of: MapsFn,
) -> int:
    """Write the maps of crops, given as image ids by shard; return how many there are.

    `key` is that of `cache_key`, and `maps_of` gives the maps of crops of the shards that are not up to date.
    """

    def make(image_ids: list[str]) -> Iterator[Made]:
        for image_id, content in maps_of(image_ids):
            yield Made(masks.file_name(image_id), content, bool(content))

    tasks = shard_writer.of_archives(by_shard, {"crops": crop_archive}, lambda ids: [dict(key), ids])
    return sum(archive.update(tasks, make))


class CachedMaps:
    """Maps from a cache, into which those that are missing are put first; `n_new` counts these.

    `run` yields digest and map of crops, given as digests by image id, such as `run_inference` does.
    """

    def __init__(
        self, crop_archive: Archive, cache: ResultCache, run: Callable[[dict[str, str]], Iterator[tuple[str, bytes]]]
    ) -> None:
        self._crops, self._cache, self._run = crop_archive, cache, run
        self.n_new = 0

    def __call__(self, image_ids: list[str]) -> Iterator[tuple[str, bytes]]:
        """Yield the image id and the encoded map of each crop in order; nothing for one that cannot be read."""
        keys = digests(image_ids, self._crops)
        missing = self._cache.missing(keys.values())
        new = {image_id: key for image_id, key in keys.items() if key in missing}
        self.n_new += len(new)
        self._cache.put_many(self._run(new))
        for image_id in image_ids:
            found = [content for _, content in self._cache.get_many([keys.get(image_id, "")])]
            yield image_id, found[0] if found else b""
