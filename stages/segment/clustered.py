"""Segmentation on the workers of a Ray cluster, with the outputs of `segmentation.run_inference`."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from stages.core import batches, progress
from stages.core.archive import Archive
from stages.core.result_cache import Missing
from stages.images import archived, images
from stages.images.images import ImageError
from stages.networks import runtime
from stages.networks.cluster import Cluster, Item, Job
from stages.networks.runtime import InferenceFn
from stages.schemas import crops
from stages.segment.segmentation import Crop, segment_all
from stages.segment.segmenter import load_network
from stages.segment.settings import SegmenterSettings, SegmentSettings

_AHEAD = 64


def run_inference(
    cluster: Cluster,
    new: Missing[Crop],
    crop_archive: Archive,
    networks: Path,
    view: SegmenterSettings,
    settings: SegmentSettings,
) -> Iterator[tuple[str, bytes]]:
    """Yield crop digest and encoded map of each crop that can be read, in any order.

    A crop that kills its worker gets no map; `mask` then gives the reason `missing`.
    """
    runtime.require_network(networks / view.spec.file)
    contents = batches.ordered_thread_map(partial(_content, crop_archive), new, _AHEAD)
    items = (Item(crop.digest, content) for crop, content in contents)
    job = Job(
        f"segment {view.model_dump_json()} {settings.model_dump_json()}",
        networks,
        (view.spec.file,),
        partial(_load, view, settings),
        partial(_run_chunk, view, settings),
    )
    results = cluster.run(job, items, settings.inference.batch_size)
    for result in progress.track(results, len(new), "crop", "segment"):
        if result.output is not None:
            yield result.key, result.output


def _content(crop_archive: Archive, crop: Crop) -> bytes:
    try:
        return archived.read_bytes(crop_archive, crops.file_name(crop.image_id))
    except ImageError:
        return b""  # which cannot be decoded either


class _SentCrops:
    """The crops of a chunk. Implements `ReadsArchive`."""

    path = Path("sent crops")

    def __init__(self, items: list[Item]) -> None:
        self._contents: dict[str, bytes] = {crops.file_name(item.key): item.content for item in items}

    def read(self, name: str) -> bytes:
        return self._contents[name]


def _load(view: SegmenterSettings, settings: SegmentSettings, folder: Path) -> InferenceFn:
    return load_network(view, settings, folder / view.spec.file)


def _run_chunk(
    view: SegmenterSettings, settings: SegmentSettings, network: InferenceFn, items: list[Item]
) -> list[tuple[str, bytes]]:
    wanted = [Crop(item.key, item.key) for item in items]
    maps = segment_all(wanted, _SentCrops(items), network, view, settings.inference.batch_size)
    return [(key, images.encode(saliency_map, ".png")) for key, saliency_map in maps]
