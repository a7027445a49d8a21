"""Run one segmenter on every crop; the mask stage combines the maps of all segmenters."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from stages.core import batches, progress, shard_writer
from stages.core.archive import Archive, ReadsArchive
from stages.core.result_cache import Missing, ResultCache, code_digest, digest_of
from stages.core.shard_writer import Made, ShardFolder
from stages.images import archived, images
from stages.networks import runtime
from stages.networks.runtime import InferenceFn
from stages.schemas import crops, masks
from stages.schemas.shards import Assignment
from stages.segment import segmenter
from stages.segment.settings import SegmenterSettings, SegmentSettings

# From image ids of crops to ids and encoded maps, in order; an empty map for a crop that has none.
MapsFn = Callable[["pd.Series[str]"], Iterable[tuple[str, bytes]]]


class Crop(NamedTuple):
    """The crop of a photo, and the SHA-256 of its file in hex: one photo has other crops under other rules."""

    image_id: str
    digest: str


def read_input(crop_archive: ReadsArchive, view: SegmenterSettings, crop: Crop) -> np.ndarray | None:
    """Decode a crop and prepare it for the network; None where it cannot be read."""
    try:
        return segmenter.prepare(archived.read_image(crop_archive, crops.file_name(crop.image_id)), view)
    except images.ImageError:
        return None


def segment_all(
    wanted: list[Crop] | Missing[Crop],
    crop_archive: ReadsArchive,
    network: InferenceFn,
    view: SegmenterSettings,
    batch_size: int,
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the digest and the map `(side, side)` uint8 of every crop that can be read, in order."""
    prepared = batches.ordered_thread_map(partial(read_input, crop_archive, view), wanted, ahead=2 * batch_size)
    tracked = progress.track(prepared, len(wanted), "crop", "segment")
    readable = ((crop.digest, image) for crop, image in tracked if image is not None)
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


def digests(image_ids: "pd.Series[str]", crop_archive: Archive) -> np.ndarray:
    """The digests of the crops of photos, `(N,)` bytes of 64 hex digits, empty for a photo without a crop."""

    def digest(image_id: str) -> str:
        try:
            return hashlib.sha256(archived.read_bytes(crop_archive, crops.file_name(image_id))).hexdigest()
        except images.ImageError:
            return ""

    made = batches.ordered_thread_map(digest, image_ids, ahead=32)
    # As Python values they would take several times the memory.
    return np.fromiter((key.encode() for _, key in made), dtype="S64", count=len(image_ids))


def run_inference(
    new: Missing[Crop], crop_archive: Archive, networks: Path, view: SegmenterSettings, settings: SegmentSettings
) -> Iterator[tuple[str, bytes]]:
    """Yield digest and encoded map of each crop that can be read."""
    if new:
        network = segmenter.load_network(view, settings, networks / view.spec.file)
        for digest, saliency_map in segment_all(new, crop_archive, network, view, settings.inference.batch_size):
            yield digest, images.encode(saliency_map, ".png")


def write_maps(
    archive: ShardFolder,
    image_ids: "pd.Series[str]",
    assignment: Assignment,
    crop_archive: Archive,
    key: Mapping[str, object],
    maps_of: MapsFn,
) -> int:
    """Write the maps of crops; return how many there are.

    `key` is that of `cache_key`, and `maps_of` gives the maps of crops of the shards that are not up to date.
    """

    def make(numbers: np.ndarray) -> Iterator[Made]:
        for image_id, content in maps_of(image_ids.iloc[numbers]):
            yield Made(masks.file_name(image_id), content, bool(content))

    by_shard = assignment.split(image_ids)
    tasks = shard_writer.of_archives(
        by_shard, {"crops": crop_archive}, lambda numbers: [dict(key), image_ids.iloc[numbers].tolist()]
    )
    return sum(archive.update(tasks, make))


class CachedMaps:
    """Maps from a cache, into which those that are missing are put first; `n_new` counts these.

    `run` yields digest and map of crops, such as `run_inference` does.
    """

    def __init__(
        self, crop_archive: Archive, cache: ResultCache, run: Callable[[Missing[Crop]], Iterator[tuple[str, bytes]]]
    ) -> None:
        self._crops, self._cache, self._run = crop_archive, cache, run
        self.n_new = 0

    def __call__(self, image_ids: "pd.Series[str]") -> Iterator[tuple[str, bytes]]:
        """Yield the image id and the encoded map of each crop in order; nothing for one that cannot be read."""
        keys = digests(image_ids, self._crops)

        def known() -> Iterator[Crop]:
            return (Crop(name, key.decode()) for name, key in zip(image_ids, keys) if key)

        new = Missing(self._cache, known, attrgetter("digest"))
        self.n_new += len(new)
        self._cache.put_many(self._run(new))
        for image_id, key in zip(image_ids, keys):
            found = [content for _, content in self._cache.get_many([key.decode()])]
            yield image_id, found[0] if found else b""
