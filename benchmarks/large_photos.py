"""Seconds and peak memory of large photos through the picture stages, and peak memory against the number of photos.

The photos are drawn. Every figure is of a process of its own. In the second table the networks are played by
functions of the same inputs and outputs: theirs is memory that no number of photos changes.
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
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from PIL import Image

from benchmarks import timing
from stages.core import settings
from stages.crop.settings import CropSettings
from stages.detect.settings import DetectSettings
from stages.images import images, letterbox
from stages.networks import runtime
from stages.networks.catalogue import DETECTORS

_SIZES_WH = {"12 MP": (4000, 3000), "50 MP": (8160, 6120)}
_STEPS = ("ingest", "detect", "crop")
_STAGES = (*_STEPS, "segment", "mask", "resize")
_ROOT = Path(__file__).parent.parent
_SETTINGS = _ROOT / "params.yaml"


def draw(path: Path, size_wh: tuple[int, int], seed: int) -> None:
    """Write a JPEG with the grain and the EXIF orientation of a phone held upright, different for each seed."""
    rng = np.random.default_rng(seed)
    picture = letterbox.resize(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8), *size_wh)
    picture += rng.integers(0, 16, (size_wh[1], size_wh[0], 1), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=90, exif=exif)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(stream.getvalue())


def peak_mib() -> float:
    """The most memory that this process held so far. Unlike getrusage's figure it does not begin with the parent's."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def steps(path: Path) -> dict[str, Callable[[], object]]:
    """What ingest, detect and crop each do with one photo, whose car covers the middle three fifths each way."""
    ingest, detect, crop = (import_module(f"stages.{name}") for name in _STEPS)
    rule = settings.read(_SETTINGS, "crop", CropSettings)
    detector = DETECTORS[settings.read(_SETTINGS, "detect", DetectSettings).network]
    name = images.image_id(path.read_bytes())
    with Image.open(path) as picture:
        height, width = picture.size  # it lies on its side
    corners = {"x_min": 0.2 * width, "y_min": 0.2 * height, "x_max": 0.8 * width, "y_max": 0.8 * height}
    row = {"image_id": name, "path": path.name, "is_cropped": True, **corners}
    return {
        "ingest": partial(ingest.look, path.parent, path.name),
        "detect": partial(detect.read_prepared, path.parent, detector, (name, path.name)),
        "crop": partial(crop.make_crop, path.parent, rule, row),
    }


def measure_steps(path: str, names: list[str], is_full: bool) -> dict[str, float]:
    """Seconds (the median of five) and peak memory of some steps, with every photo decoded in full or not."""
    if is_full:
        decode = images.decode_photo
        images.decode_photo = lambda content, _: decode(content, lambda _: 1.0)
    work = [steps(Path(path))[name] for name in names]
    before, seconds = peak_mib(), []
    for _ in range(5):
        started = time.perf_counter()
        for step in work:
            step()
        seconds.append(time.perf_counter() - started)
    return {"s": float(np.median(seconds)), "peak MiB": peak_mib(), "of it before": before}


def play_network(_: Path, outputs: list[str], *__: object) -> runtime.InferenceFn:
    """A car in the middle of every photo for a detector's two outputs; for a segmenter's one, all but the rim."""

    def boxes(batch: np.ndarray) -> list[np.ndarray]:
        heat, extents = (np.zeros((len(batch), 128, 128, depth), np.float32) for depth in (80, 4))
        heat[:, 64, 64, 2], extents[:, 64, 64] = 0.9, 120
        return [heat, extents]

    def masks(batch: np.ndarray) -> list[np.ndarray]:
        maps = np.zeros((len(batch), 1, 320, 320), np.float32)
        maps[..., 20:-20, 20:-20] = 1
        return [maps]

    return boxes if len(outputs) == 2 else masks


def measure_stage(stage: str, options: list[str]) -> dict[str, float]:
    """Seconds and peak memory of a stage run as from the command line, its network played."""
    runtime.load = play_network
    sys.argv = [stage, *options]
    started = time.perf_counter()
    import_module(f"stages.{stage}").main()
    return {"s": time.perf_counter() - started, "peak MiB": peak_mib()}


def child(kind: str, place: Path, **arguments: object) -> dict[str, float]:
    """The answer of a process of its own, at work in `place`, to one of the two measurements above."""
    request = json.dumps([kind, arguments], default=str)
    command = [sys.executable, "-m", "benchmarks.large_photos", "--child", request]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    done = subprocess.run(command, check=True, cwd=place, env=environment, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def answer(request: str) -> None:
    """Do what `child` asked for and print the figures."""
    kind, arguments = json.loads(request)
    print(json.dumps({"stage": measure_stage, "steps": measure_steps}[kind](**arguments)))


def one_photo(folder: Path) -> pd.DataFrame:
    """A row per size and step, decoded in full and at the scale that is enough."""
    rows = {}
    for title, size_wh in _SIZES_WH.items():
        path = folder / f"{title}.jpg"
        draw(path, size_wh, seed=0)
        for names in (*([name] for name in _STEPS), list(_STEPS)):
            for is_full in (True, False):
                found = child("steps", folder, path=path, names=names, is_full=is_full)
                rows[title, " + ".join(names), "in full" if is_full else "reduced"] = found
    return pd.DataFrame(rows).T


def options_of(stage: str) -> list[str]:
    """The command line of a picture stage as dvc.yaml has it, for photos in `photos`."""
    command = yaml.safe_load((_ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"][stage]
    command = command.get("do", command)["cmd"]
    for name, value in {"ingest.source": "photos", "pretrained": "networks", "key": "one"}.items():
        command = command.replace(f"${{{name}}}", value)
    words = shlex.split(command)
    return words[words.index(f"stages.{stage}") + 1 :]


def many_photos(folder: Path, counts: list[int]) -> pd.DataFrame:
    """A row per picture stage with its seconds and peak memory for each number of photos."""
    columns = {}
    for count in counts:
        place = folder / str(count)
        for seed in range(count):
            draw(place / "photos" / "ab"[seed % 2] / f"{seed}.jpg", (320, 240), seed)
        content = yaml.safe_load(_SETTINGS.read_text(encoding="utf-8"))
        content["ingest"]["source"] = "photos"
        content["segmenters"], content["mask"]["weights"] = {"one": {"network": "u2netp"}}, {"one": 1.0}
        (place / "params.yaml").write_text(json.dumps(content), encoding="utf-8")
        (place / "networks").mkdir()
        for name in ("centernet_mobilenetv3.onnx", "u2netp.onnx"):
            (place / "networks" / name).write_bytes(b"played")
        for stage in _STAGES:
            found = child("stage", place, stage=stage, options=options_of(stage))
            columns[stage, f"s, {count}"], columns[stage, f"peak MiB, {count}"] = found["s"], found["peak MiB"]
    table = pd.Series(columns).unstack()[[f"{what}, {count}" for what in ("s", "peak MiB") for count in counts]]
    table["times the memory"] = table.iloc[:, -1] / table.iloc[:, -len(counts)]
    return table.loc[list(_STAGES)]


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[600, 6000], help="photos in the second table")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return answer(arguments.child)
    with tempfile.TemporaryDirectory() as folder:
        timing.show(one_photo(Path(folder)), "one photo; s is the median of five")
        timing.show(many_photos(Path(folder), arguments.counts), "320 x 240 photos; networks played")
    return None


if __name__ == "__main__":
    main()
