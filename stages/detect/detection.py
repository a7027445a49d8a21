"""Detect every object in every usable photo, down to a low score, so that no later rule needs inference again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from stages.core import batches, progress
from stages.core.result_cache import Missing, code_digest, digest_of
from stages.detect.centernet import Detections
from stages.detect.detector import DetectorInput, detect, load_network, pack, prepare, rounded, unpack
from stages.detect.settings import DetectSettings
from stages.images import images
from stages.images.boxes import COLUMNS as CORNERS
from stages.networks import runtime
from stages.networks.catalogue import DETECTORS, Detector
from stages.networks.runtime import InferenceFn
from stages.schemas import detections
from stages.sources.photos import ReadsPhotos


class PhotoRow(NamedTuple):
    """What a row of the manifest says about where its photo is."""

    image_id: str
    path: str
    split: str


def photo_rows(photos: pd.DataFrame) -> Iterator[PhotoRow]:
    """The rows of the manifest one by one: a list of them takes several times the memory."""
    return map(PhotoRow, *(photos[name] for name in PhotoRow._fields))


def read_input(photos: ReadsPhotos, spec: Detector, row: PhotoRow) -> DetectorInput | None:
    """Decode the photo of a row and prepare it for the network; None where it cannot be read."""
    try:
        return prepare(photos.load(row.path, row.image_id, row.split), spec)
    except images.ImageError:
        return None


def detect_all(
    rows: list[PhotoRow] | Missing[PhotoRow],
    photos: ReadsPhotos,
    network: InferenceFn,
    spec: Detector,
    settings: DetectSettings,
) -> Iterator[tuple[str, Detections]]:
    """Yield the image id and the objects of each photo that can be read, in order."""
    ahead = 2 * settings.inference.batch_size
    ready = batches.ordered_thread_map(partial(read_input, photos, spec), rows, ahead, photos.threads)
    tracked = progress.track(ready, len(rows), "photo", "detect")
    readable = ((row.image_id, photo) for row, photo in tracked if photo is not None)
    yield from detect(readable, network, spec, settings)


def cache_key(networks: Path, settings: DetectSettings, system: Mapping[str, str]) -> dict[str, object]:
    """What the boxes of a photo depend on beside the photo: the network, its settings, code, and the `system`.

    `system` is what `runtime.describe_runtime` says where the network runs.
    """
    spec = DETECTORS[settings.network]
    return {
        "network": digest_of([runtime.require_network(networks / spec.file)]),
        "spec": asdict(spec),
        "settings": settings.model_dump(),
        "code": code_digest("stages.detect.detector"),
        "system": dict(system),
    }


def to_rows(image_ids: str | Sequence[str], objects: Detections, names: tuple[str, ...]) -> pd.DataFrame:
    """Objects as rows of data/detections.csv; `image_ids` is one photo, or one for each object.

    `names` are the classes by number.
    """
    corners, scores = rounded(objects)
    frame = pd.DataFrame(corners, columns=CORNERS)
    frame.insert(0, "image_id", image_ids)
    frame.insert(1, "class_name", np.array(names, dtype=object)[objects.classes])
    frame.insert(2, "score", scores)
    return frame


def run_inference(
    new: Missing[PhotoRow], photos: ReadsPhotos, networks: Path, settings: DetectSettings
) -> Iterator[tuple[str, bytes]]:
    """Yield image id and packed objects of each photo that can be read.

    The network is loaded only if there is a photo.
    """
    if new:
        spec = DETECTORS[settings.network]
        network = load_network(settings, networks / spec.file)
        for image_id, objects in detect_all(new, photos, network, spec, settings):
            yield image_id, pack(objects)


def to_tables(outputs: Iterator[tuple[str, bytes]], names: tuple[str, ...]) -> Iterator[pd.DataFrame]:
    """The table data/detections.csv from image ids and packed objects, in parts of whole photos, at least one."""
    parts = (_rows_of(chunk, names) for chunk in batches.batched(outputs, batches.ROWS_AT_ONCE))
    return chain([pd.DataFrame(columns=list(detections.COLUMNS))], parts)


def _rows_of(outputs: list[tuple[str, bytes]], names: tuple[str, ...]) -> pd.DataFrame:
    found = [(image_id, unpack(content)) for image_id, content in outputs]
    # In one piece: a table for each photo took longer than finding its boxes in the heat map.
    joined = Detections(*(np.concatenate(parts) for parts in zip(*(objects for _, objects in found))))
    image_ids = [image_id for image_id, objects in found for _ in objects.scores]
    return to_rows(image_ids, joined, names)[list(detections.COLUMNS)]
