"""Detection on the workers of a Ray cluster, with the outputs of `detection.run_inference`."""

from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import Path

from stages.core import batches, progress
from stages.core.result_cache import Missing
from stages.detect.detection import PhotoRow, detect_all
from stages.detect.detector import load_network, pack
from stages.detect.settings import DetectSettings
from stages.images.images import ImageError
from stages.networks import runtime
from stages.networks.catalogue import DETECTORS
from stages.networks.cluster import Cluster, Item, Job
from stages.networks.runtime import InferenceFn
from stages.sources.photos import Photos, absolute
from stages.sources.settings import SourceSettings

_AHEAD = 64
# Where a photo is, and its bytes if they are sent: empty ones cannot be read.
_Content = tuple[PhotoRow, bytes | None]


def run_inference(
    cluster: Cluster,
    new: Missing[PhotoRow],
    source: SourceSettings,
    networks: Path,
    settings: DetectSettings,
    is_sent: bool,
    failures: dict[str, str],
) -> Iterator[tuple[str, bytes]]:
    """Yield image id and packed objects of each photo that can be read, in any order.

    With `is_sent` this process reads the photos, else the workers do. `failures` gets the reason, by image id, of each
    photo that kills its worker.
    """
    runtime.require_network(networks / DETECTORS[settings.network].file)
    photos = Photos(source)
    contents = batches.ordered_thread_map(partial(_content, photos, is_sent), new, _AHEAD, photos.threads)
    items = (Item(row.image_id, content) for row, content in contents)
    job = Job(
        f"detect {settings.model_dump_json()}",
        networks,
        (DETECTORS[settings.network].file,),
        partial(_load, settings),
        partial(_run_chunk, settings, absolute(source)),
    )
    results = cluster.run(job, items, settings.inference.batch_size)
    for result in progress.track(results, len(new), "photo", "detect"):
        if result.output is not None:
            yield result.key, result.output
        elif result.reason:
            failures[result.key] = result.reason


def _content(photos: Photos, is_sent: bool, row: PhotoRow) -> _Content:
    if not is_sent:
        return row, None
    try:
        return row, photos.load(row.path, row.image_id, row.split)
    except ImageError:
        return row, b""


class _SentPhotos:
    """The photos of a chunk whose bytes came with it. Implements `ReadsPhotos`."""

    threads = None

    def __init__(self, items: list[Item]) -> None:
        self._contents: dict[str, bytes] = {item.key: item.content[1] for item in items}

    def load(self, path: str, image_id: str, split: str) -> bytes:  # noqa: ARG002
        return self._contents[image_id]


@lru_cache(1)
def _opened(source: SourceSettings) -> Photos:
    return Photos(source)


def _load(settings: DetectSettings, folder: Path) -> InferenceFn:
    return load_network(settings, folder / DETECTORS[settings.network].file)


def _run_chunk(
    settings: DetectSettings, source: SourceSettings, network: InferenceFn, items: list[Item]
) -> list[tuple[str, bytes]]:
    rows = [item.content[0] for item in items]
    photos = _opened(source) if items[0].content[1] is None else _SentPhotos(items)
    found = detect_all(rows, photos, network, DETECTORS[settings.network], settings)
    return [(image_id, pack(objects)) for image_id, objects in found]
