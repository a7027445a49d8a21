"""Find every object in every usable photo, down to a low score, so that no later rule needs the network again."""

from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from stages.core import batches, progress
from stages.detect.centernet import Detections
from stages.detect.detector import detect, pack, prepare, rounded, unpack
from stages.detect.settings import DetectSettings
from stages.images import images
from stages.images.boxes import COLUMNS as CORNERS
from stages.networks import runtime
from stages.networks.catalogue import DETECTORS, Detector
from stages.networks.inference_cache import code_digest, digest_of
from stages.networks.runtime import InferenceFn
from stages.schemas import detections


class DetectorInput(NamedTuple):
    """One photo ready for the network: its padded picture and its own size; None where it cannot be read."""

    picture: np.ndarray | None
    size_wh: tuple[int, int]


def read_input(root: Path, spec: Detector, row: tuple[str, str]) -> DetectorInput:
    """Decode the photo of a manifest row (image id, path) and bring it into the network's square."""
    image_id, path = row
    try:
        return DetectorInput(*prepare(images.load(root / path, image_id), spec))
    except images.ImageError:
        return DetectorInput(None, (0, 0))


def detect_all(
    rows: list[tuple[str, str]], root: Path, network: InferenceFn, spec: Detector, settings: DetectSettings
) -> Iterator[tuple[str, Detections]]:
    """Yield the image id and the objects of each (image id, path) that can be read, in order."""
    batch_size = settings.inference.batch_size
    ready = batches.ordered_thread_map(partial(read_input, root, spec), rows, ahead=2 * batch_size)
    tracked = progress.track(ready, len(rows), "photo", "detect")
    for group in batches.batched(tracked, batch_size):
        kept = [(image_id, photo.picture, photo.size_wh) for (image_id, _), photo in group if photo.picture is not None]
        if kept:
            image_ids, pictures, sizes = zip(*kept)
            yield from zip(image_ids, detect(np.stack(pictures), list(sizes), network, spec, settings))


def cache_key(networks: Path, settings: DetectSettings) -> dict[str, object]:
    """What the boxes of a photo depend on beside the photo: the network, its settings, code, machine."""
    spec = DETECTORS[settings.network]
    return {
        "network": digest_of([runtime.require_network(networks / spec.file)]),
        "spec": asdict(spec),
        "settings": settings.model_dump(),
        "code": code_digest("stages.detect.detector"),
        "system": runtime.describe_runtime(settings.inference),
    }


def to_rows(image_id: str, found: Detections, names: tuple[str, ...]) -> pd.DataFrame:
    """The detections of one photo as rows of data/detections.csv."""
    corners, scores = rounded(found)
    frame = pd.DataFrame(corners, columns=CORNERS)
    frame.insert(0, "image_id", image_id)
    frame.insert(1, "class_name", [names[number] for number in found.classes.tolist()])
    frame.insert(2, "score", scores)
    return frame


def run_inference(
    new: list[tuple[str, str]], root: Path, networks: Path, settings: DetectSettings
) -> Iterator[tuple[str, bytes]]:
    """Yield the packed objects of each (image id, path) that can be read; the network is loaded if there is one."""
    if new:
        spec = DETECTORS[settings.network]
        network = runtime.load(networks / spec.file, list(spec.outputs), settings.inference)
        for image_id, found in detect_all(new, root, network, spec, settings):
            yield image_id, pack(found)


def to_table(found: Iterator[tuple[str, bytes]], names: tuple[str, ...]) -> pd.DataFrame:
    """The packed objects of all photos as the rows of data/detections.csv."""
    rows = (to_rows(image_id, unpack(answer), names) for image_id, answer in found)
    # A table per photo would weigh more than what is in it.
    frames = [pd.concat(group) for group in batches.batched(rows, 256)]
    return pd.concat(frames or [pd.DataFrame(columns=list(detections.COLUMNS))])[list(detections.COLUMNS)]
