"""Seconds and peak memory of the stages up to `resize`, for large photos and for many photos.

The photos are synthetic. Every figure is of a separate process. In the second table functions with the same inputs and
outputs replace the networks, whose memory does not depend on the number of photos.
"""

import argparse
import io
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from PIL import Image

from benchmarks import timing
from stages.core import settings
from stages.crop.cropping import make_crop
from stages.crop.settings import CropSettings
from stages.detect.detection import PhotoRow, read_input
from stages.detect.settings import DetectSettings
from stages.images import images, letterbox
from stages.ingest.inspection import inspect_file
from stages.networks import runtime
from stages.networks.catalogue import DETECTORS
from stages.schemas import corrections
from stages.sources.photos import Photos
from stages.sources.settings import SourceSettings

_SIZES_WH = {"12 MP": (4000, 3000), "50 MP": (8160, 6120)}
_STEPS = ("ingest", "detect", "crop")
STAGES = ("scan", *_STEPS, "segment", "mask", "resize")
_ROOT = Path(__file__).parents[2]
_SETTINGS = _ROOT / "params.yaml"


def write_photo(path: Path, size_wh: tuple[int, int], seed: int) -> None:
    """Write a random JPEG with noise and the EXIF orientation of a phone held upright."""
    rng = np.random.default_rng(seed)
    image = letterbox.resize(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8), *size_wh)
    image += rng.integers(0, 16, (size_wh[1], size_wh[0], 1), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, "JPEG", quality=90, exif=exif)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(stream.getvalue())


def peak_mib() -> float:
    """The peak memory of this process. Unlike the figure of getrusage, it does not start with that of the parent."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def steps(path: Path) -> dict[str, Callable[[], object]]:
    """The work of ingest, detect and crop on one photo, with a box of three fifths of its width and height."""
    rule = settings.read(_SETTINGS, "crop", CropSettings)
    detector = DETECTORS[settings.read(_SETTINGS, "detect", DetectSettings).network]
    name = images.image_id(path.read_bytes())
    with Image.open(path) as image:
        height, width = image.size  # before EXIF orientation
    corners: dict[Hashable, object] = {"x_min": 0.2 * width, "y_min": 0.2 * height}
    corners |= {"x_max": 0.8 * width, "y_max": 0.8 * height}
    row = corners | {"image_id": name, "path": path.name, "split": "test", "is_cropped": True}
    photos = Photos(SourceSettings(source=str(path.parent)))
    return {
        "ingest": partial(inspect_file, photos.store("test"), path.name, ""),
        "detect": partial(read_input, photos, detector, PhotoRow(name, path.name, "test")),
        "crop": partial(make_crop, photos, rule, row),
    }


def measure_steps(path: str, names: list[str], is_full: bool) -> dict[str, float]:
    """Seconds (the median of five) and peak memory of some steps; `is_full` decodes at full size."""
    if is_full:
        decode = images.decode_photo
        vars(images)["decode_photo"] = lambda content, _: decode(content, lambda _: 1.0)
    work = [steps(Path(path))[name] for name in names]
    before, seconds = peak_mib(), []
    for _ in range(5):
        started = time.perf_counter()
        for step in work:
            step()
        seconds.append(time.perf_counter() - started)
    return {"s": float(np.median(seconds)), "peak MiB": peak_mib(), "of it before": before}


def fake_network(_: Path, outputs: Sequence[str], *__: object, **___: object) -> runtime.InferenceFn:
    """A detector (two outputs) with a car in the middle, or a segmenter (one output) of all but the border."""

    def boxes(photos: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
        for photo in photos:
            rows, columns = (side // 4 for side in photo.shape[:2])
            heat, extents = (np.zeros((rows, columns, depth), np.float32) for depth in (80, 4))
            heat[rows // 2, columns // 2, 2], extents[rows // 2, columns // 2] = 0.9, 120
            yield [heat, extents]

    def masks(crops: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
        for crop in crops:
            saliency = np.zeros((1, *crop.shape[1:]), np.float32)
            saliency[..., 20:-20, 20:-20] = 1
            yield [saliency]

    return boxes if len(outputs) == 2 else masks


def measure_stage(stage: str, options: list[str]) -> dict[str, float]:
    """Seconds, CPU seconds and peak memory of a stage run as from the command line, without its network."""
    vars(runtime)["load"] = fake_network
    sys.argv = [stage, *options]
    started, cpu_started = time.perf_counter(), time.process_time()
    import_module(f"stages.{stage}.__main__").main()
    seconds = {"s": time.perf_counter() - started, "CPU s": time.process_time() - cpu_started}
    return seconds | {"peak MiB": peak_mib()}


def in_process(kind: str, folder: Path, **arguments: object) -> dict[str, float]:
    """The result of one of the two measurements above in a separate process, run in `folder`."""
    request = json.dumps([kind, arguments], default=str)
    command = [sys.executable, "-m", "benchmarks.pipeline.large_photos", "--child", request]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    done = subprocess.run(command, check=True, cwd=folder, env=environment, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(request: str) -> None:
    """Run the measurement that `in_process` requested and print the figures."""
    kind, arguments = json.loads(request)
    work: dict[str, Callable[..., dict[str, float]]] = {"stage": measure_stage, "steps": measure_steps}
    print(json.dumps(work[kind](**arguments)))


def one_photo(folder: Path) -> pd.DataFrame:
    """A row per size and step, decoded at full size and at a reduced one."""
    rows = {}
    for title, size_wh in _SIZES_WH.items():
        path = folder / f"{title}.jpg"
        write_photo(path, size_wh, seed=0)
        for names in (*([name] for name in _STEPS), list(_STEPS)):
            for is_full in (True, False):
                rows[title, " + ".join(names), "full size" if is_full else "reduced"] = in_process(
                    "steps", folder, path=path, names=names, is_full=is_full
                )
    return pd.DataFrame(rows).T


def stage_options(stage: str) -> list[str]:
    """The options of a stage in dvc.yaml, for networks in the folder `networks` and the segmenter or input `one`."""
    command = yaml.safe_load((_ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"][stage]
    command = command.get("do", command)["cmd"]
    for name, value in {"pretrained": "networks", "key": "one"}.items():
        command = command.replace(f"${{{name}}}", value)
    words = shlex.split(command)
    return words[words.index(f"stages.{stage}") + 1 :]


def make_project(folder: Path) -> None:
    """Write settings and placeholders for the networks to `folder`, where the stages run with `stage_options`."""
    content = yaml.safe_load(_SETTINGS.read_text(encoding="utf-8"))
    content["ingest"]["source"] = "photos"
    content["segmenters"], content["mask"]["weights"] = {"one": {"network": "u2netp"}}, {"one": 1.0}
    model = next(iter(content["models"].values()))
    content["inputs"], content["models"] = {"one": content["inputs"][model["input"]]}, {"one": model | {"input": "one"}}
    (folder / "networks").mkdir(parents=True)
    (folder / "params.yaml").write_text(json.dumps(content), encoding="utf-8")
    corrections.write(folder / "data" / "corrections.csv", corrections.none())
    for name in ("centernet_mobilenetv3.onnx", "u2netp.onnx"):
        (folder / "networks" / name).write_bytes(b"network")


def write_photos(folder: Path, seeds: Iterable[int]) -> None:
    """Write random photos of 320 x 240 pixels of two classes, in several processes."""
    with ProcessPoolExecutor() as pool:
        paths = [(folder / "photos" / "ab"[seed % 2] / f"{seed}.jpg", (320, 240), seed) for seed in seeds]
        for _ in pool.map(write_photo, *zip(*paths), chunksize=64):
            pass


def run_stages(folder: Path) -> pd.DataFrame:
    """A row per stage up to `resize` with its seconds, CPU seconds and peak memory in MiB."""
    figures = {stage: in_process("stage", folder, stage=stage, options=stage_options(stage)) for stage in STAGES}
    return pd.DataFrame(figures).T


def many_photos(root: Path, counts: list[int]) -> pd.DataFrame:
    """A row per stage with its seconds and peak memory for each number of photos."""
    columns = {}
    for count in counts:
        folder = root / str(count)
        make_project(folder)
        write_photos(folder, range(count))
        for stage, figures in run_stages(folder).iterrows():
            columns[stage, f"s, {count}"], columns[stage, f"peak MiB, {count}"] = figures["s"], figures["peak MiB"]
    table = pd.Series(columns).unstack()[[f"{what}, {count}" for what in ("s", "peak MiB") for count in counts]]
    table["times the memory"] = table.iloc[:, -1] / table.iloc[:, -len(counts)]
    return table.loc[list(STAGES)]


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[600, 6000], help="photos in the second table")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return measure(arguments.child)
    with tempfile.TemporaryDirectory() as folder:
        timing.show(one_photo(Path(folder)), "one photo; s is the median of five")
        timing.show(many_photos(Path(folder), arguments.counts), "320 x 240 photos, without networks")
    return None


if __name__ == "__main__":
    main()
