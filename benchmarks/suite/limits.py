"""Bare limits without TensorFlow: networks on ready inputs, decoding and reading alone."""

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from benchmarks.suite.pipeline import segmenters as segmenter_names
from benchmarks.suite.report import Report
from stages.core import cores, settings
from stages.core.archive import Archive
from stages.detect import detector as detectors
from stages.detect.settings import DetectSettings
from stages.images import images
from stages.networks.catalogue import DETECTORS
from stages.networks.runtime import InferenceFn
from stages.segment import segmenter
from stages.segment.settings import SegmenterSettings, SegmentSettings

_PARAMS, _NETWORKS = Path("params.yaml"), Path("models/pretrained")


def photo_paths() -> list[Path]:
    """The usable photos of the project."""
    table = pd.read_csv("data/manifest.csv").query("status == 'ok'")
    return [Path("photos") / path for path in table["path"]]


def crop_files() -> dict[str, bytes]:
    """The files of all crops, by image id."""
    archive = Archive(Path("data/crops"))
    return {Path(name).stem: archive.read(name) for name in archive.names}


def decoder() -> Callable[[bytes], object]:
    """The fastest JPEG decoder at hand: simplejpeg if installed, else OpenCV's libjpeg-turbo."""
    try:
        import simplejpeg
    except ModuleNotFoundError:
        return lambda content: cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    return simplejpeg.decode_jpeg


def _timed(report: Report, items: int, work: Callable[[], object]) -> None:
    while True:
        started = time.perf_counter()
        work()
        report(time.perf_counter() - started, items)


def _decode(report: Report, files: list[bytes]) -> None:
    cv2.setNumThreads(1)
    decode = decoder()
    with ThreadPoolExecutor(cores.available()) as pool:
        _timed(report, len(files), lambda: [None for _ in pool.map(lambda content: decode(content) is None, files)])


def decode_photos(report: Report) -> None:
    """All photos decoded in full from memory, in a thread per core."""
    _decode(report, [path.read_bytes() for path in photo_paths()])


def decode_crops(report: Report) -> None:
    """All crops decoded from memory, in a thread per core."""
    _decode(report, list(crop_files().values()))


def read_photos(report: Report) -> None:
    """The bytes of all photos read; from the second round on the system has them in memory."""
    paths = photo_paths()
    _timed(report, len(paths), lambda: [path.read_bytes() for path in paths])


def detector(report: Report) -> None:
    """The detector on photos that are decoded and padded."""
    rule = settings.read(_PARAMS, "detect", DetectSettings)
    spec = DETECTORS[rule.network]
    network = detectors.load_network(rule, _NETWORKS / spec.file)
    inputs = [detectors.prepare(path.read_bytes(), spec).image for path in photo_paths()]
    _timed(report, len(inputs), lambda: deque(network(inputs), maxlen=0))


def segmenters(report: Report) -> None:
    """All segmenters on crops that are decoded and resized."""
    rule = settings.read(_PARAMS, "segment", SegmentSettings)
    crops = [images.decode(content) for content in crop_files().values()]
    ready: list[tuple[InferenceFn, list[np.ndarray]]] = []
    for name in segmenter_names():
        view = settings.read(_PARAMS, f"segmenters.{name}", SegmenterSettings)
        network = segmenter.load_network(view, rule, _NETWORKS / view.spec.file)
        inputs = [segmenter.prepare(crop, view) for crop in crops]
        ready.append((network, inputs))
    _timed(report, len(crops), lambda: [deque(network(inputs), maxlen=0) for network, inputs in ready])
