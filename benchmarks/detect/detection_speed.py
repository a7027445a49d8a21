"""Seconds from the file of a 640x480 photo to its boxes: this pipeline, plain ONNX Runtime, and GluonCV on mxnet."""

import argparse
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from PIL import Image

from benchmarks import timing
from stages.core import cores, environment
from stages.core.settings import read as read_settings
from stages.detect.detection import PhotoRow, detect_all
from stages.detect.detector import detect, prepare
from stages.detect.settings import DetectSettings
from stages.images import images
from stages.networks import runtime
from stages.networks.catalogue import DETECTORS
from stages.networks.settings import InferenceSettings
from stages.sources.photos import Photos
from stages.sources.settings import SourceSettings

_SIZE_WH = (640, 480)
_WORKER = Path(__file__).parents[1] / "pretrained" / "gluoncv" / "detection_worker.py"


def find_photos(folder: Path, limit: int) -> list[Path]:
    """The first `limit` JPEG files below `folder` of 640x480 pixels. Raises FileNotFoundError if there is none."""
    paths: list[Path] = []
    for path in sorted(folder.rglob("*.jpg")):
        with Image.open(path) as image:
            if image.size == _SIZE_WH:
                paths.append(path)
        if len(paths) == limit:
            break
    if not paths:
        raise FileNotFoundError(f"{folder}: expected JPEG photos of {_SIZE_WH[0]}x{_SIZE_WH[1]} pixels, found none")
    return paths


def pipeline(photos: list[Path], networks: Path, settings: DetectSettings) -> Callable[[], object]:
    """The loop of the detect stage: decoding in threads, batches, the engine of the settings."""
    spec = DETECTORS[settings.network]
    network = runtime.load(networks / spec.file, list(spec.outputs), settings.inference)
    rows = [
        PhotoRow(images.image_id(path.read_bytes()), path.resolve().relative_to("/").as_posix(), "test")
        for path in photos
    ]
    sources = Photos(SourceSettings(source="/"))
    return lambda: list(detect_all(rows, sources, network, spec, settings))


def one_by_one(photos: list[Path], networks: Path, settings: DetectSettings) -> Callable[[], object]:
    """The same network and decoder in ONNX Runtime with default options, one photo after the other."""
    spec = DETECTORS[settings.network]
    plain = InferenceSettings(batch_size=1, engine="onnxruntime", precision="f32")
    network = runtime.load(networks / spec.file, list(spec.outputs), plain)

    def work() -> None:
        for path in photos:
            image, size_wh = prepare(path.read_bytes(), spec)
            detect(image[None], [size_wh], network, spec, settings)

    return work


@contextmanager
def gluoncv(python: Path, photos: list[Path], is_tuned: bool) -> Iterator[Callable[[], float]]:
    """Start a worker in GluonCV's environment; a call is one pass over the photos, timed by the worker.

    With default settings, or `is_tuned`: one thread per core, and memory kept between calls.
    """
    command = [str(python), str(_WORKER), *(["--static"] if is_tuned else []), *map(str, photos)]
    variables = os.environ | ({"OMP_NUM_THREADS": str(cores.available())} if is_tuned else {})
    pipe = partial(subprocess.Popen, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=variables)
    with pipe(command) as process:

        def run() -> float:
            if process.stdin is None or process.stdout is None:
                raise RuntimeError("the worker has no pipes")
            process.stdin.write("run\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"{python}: expected the worker to reply, found that it ended; its message is above")
            return float(line)

        yield run
        process.communicate()


def main() -> None:
    """Print the table of seconds per photo."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, default=Path("data/sample/photos"))
    parser.add_argument("--networks", type=Path, default=Path("models/pretrained"))
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--environment", type=Path, default=Path(".venv-gluoncv"), help="created if missing")
    parser.add_argument("--requirements", type=Path, default=Path("requirements-gluoncv.lock"))
    parser.add_argument("--limit", type=int, default=32, help="photos in each round")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    settings = read_settings(arguments.params, "detect", DetectSettings)
    with ExitStack() as stack:
        photos = find_photos(arguments.photos, arguments.limit)
        seconds = timing.interleaved(contenders(stack, photos, arguments, settings), arguments.rounds)
    precision = runtime.resolve_precision(settings.inference.precision)
    title = f"{len(photos)} photos, {len(seconds)} rounds, {cores.available()} cores, OpenVINO {precision}; s per photo"
    timing.show(timing.compare(seconds, len(photos), "GluonCV, mxnet, default"), title)


def contenders(
    stack: ExitStack, photos: list[Path], arguments: argparse.Namespace, settings: DetectSettings
) -> dict[str, Callable[[], float]]:
    """The contenders by name; the workers run until `stack` is closed."""
    python = environment.ensure(arguments.environment, arguments.requirements)
    networks = arguments.networks
    return {
        "pipeline": timing.stopwatch(pipeline(photos, networks, settings)),
        "ONNX Runtime, batch 1": timing.stopwatch(one_by_one(photos, networks, settings)),
        "GluonCV, mxnet, default": stack.enter_context(gluoncv(python, photos, is_tuned=False)),
        "GluonCV, mxnet, tuned": stack.enter_context(gluoncv(python, photos, is_tuned=True)),
    }


if __name__ == "__main__":
    main()
