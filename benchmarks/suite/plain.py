"""What a user would write without the pipeline: one loop, default settings, Pillow and OpenCV."""

import hashlib
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import imagehash
import numpy as np
import onnxruntime
import pandas as pd
from PIL import Image

from benchmarks.suite.dvc_stages import ROOT
from benchmarks.suite.limits import crop_files, photo_paths
from benchmarks.suite.report import Missing, Report
from stages.core import settings
from stages.core.archive import Archive
from stages.crop.settings import CropSettings
from stages.detect import centernet
from stages.detect.settings import DetectSettings
from stages.images.settings import InputSettings, read_used
from stages.networks.catalogue import DETECTORS, SEGMENTERS, Segmenter
from stages.resize.settings import ResizeSettings
from stages.schemas import split_table
from stages.segment.settings import SegmenterSettings

_PARAMS, _NETWORKS, _OUT = Path("params.yaml"), Path("models/pretrained"), Path("plain")
_GREY = (114, 114, 114)


def _measure(report: Report, items: Iterable[object], work: Callable[..., object]) -> None:
    """Report the seconds of `work` on one item after the other."""
    todo = list(items)
    _OUT.mkdir(exist_ok=True)
    while True:
        started = time.perf_counter()
        for item in todo:
            work(item)
        report(time.perf_counter() - started, len(todo))


def ingest(report: Report) -> None:
    """Hash each file, decode it, and compute its perceptual hash."""

    def work(path: Path) -> None:
        hashlib.sha256(path.read_bytes()).hexdigest()
        with Image.open(path) as image:
            imagehash.phash(image.convert("RGB"))

    _measure(report, photo_paths(), work)


def _read_rgb(path: Path) -> np.ndarray:
    image = cv2.imread(str(path))
    if image is None:
        raise ValueError(f"{path}: expected a photo, found other bytes")
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def _letterbox(image: np.ndarray, side: int) -> np.ndarray:
    scale = side / max(image.shape[:2])
    resized = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    bottom, right = side - resized.shape[0], side - resized.shape[1]
    return cv2.copyMakeBorder(resized, 0, bottom, 0, right, cv2.BORDER_CONSTANT, value=_GREY)


def detect(report: Report) -> None:
    """The same network in ONNX Runtime with default options, a photo at a time, with the same decoding of heads."""
    rule = settings.read(_PARAMS, "detect", DetectSettings)
    spec = DETECTORS[rule.network]
    session = onnxruntime.InferenceSession(str(_NETWORKS / spec.file), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def work(path: Path) -> None:
        inputs = _letterbox(_read_rgb(path), spec.size)[None].astype(np.float32)
        heatmap, extents = session.run(list(spec.outputs), {name: inputs})
        centernet.decode(heatmap[0], extents[0], spec.stride, rule.max_boxes, rule.min_score)

    _measure(report, photo_paths(), work)


def gluoncv_detect(report: Report) -> None:
    """GluonCV's CenterNet-ResNet50 on mxnet with random weights, in its own environment if that has been made."""
    from benchmarks.detect.gluoncv import worker

    python = ROOT / ".venv-gluoncv" / "bin" / "python"
    if not python.is_file():
        raise Missing("mxnet is not installed, see docs/benchmarks.md")
    paths = photo_paths()
    with worker(python, paths, is_tuned=False) as run:
        while True:
            report(run(), len(paths))


def crop(report: Report) -> None:
    """Cut each known box with its margin and save it."""
    rule = settings.read(_PARAMS, "crop", CropSettings)
    table = pd.read_csv("data/boxes.csv").query("status == 'ok'")

    def work(row: dict[str, float | str]) -> None:
        with Image.open(Path("photos") / str(row["path"])) as image:
            piece = image.convert("RGB")
        if row["is_cropped"]:
            box = np.array([row[name] for name in ("x_min", "y_min", "x_max", "y_max")], dtype=float)
            margin = rule.margin * max(box[2] - box[0], box[3] - box[1])
            window = (box + np.array([-margin, -margin, margin, margin])).clip(0, [*piece.size] * 2)
            piece = piece.crop(tuple(window.round().astype(int).tolist()))
        piece.thumbnail((rule.max_side, rule.max_side))
        piece.save(_OUT / f"{row['image_id']}.jpg", quality=95, subsampling=0)

    _measure(report, table.to_dict("records"), work)


def _first_segmenter() -> Segmenter:
    from benchmarks.suite.pipeline import segmenters

    view = settings.read(_PARAMS, f"segmenters.{segmenters()[0]}", SegmenterSettings)
    return SEGMENTERS[view.network.removesuffix("_int8")]  # as published, in 32 bits


def _written_crops() -> list[Path]:
    """The crops as files of their own, as a user would have them."""
    folder = Path("plain_crops")
    folder.mkdir(exist_ok=True)
    for image_id, content in crop_files().items():
        (folder / f"{image_id}.jpg").write_bytes(content)
    return sorted(folder.iterdir())


def mask(report: Report) -> None:
    """The same network in ONNX Runtime with default options, one view, a crop at a time, from file to file."""
    spec = _first_segmenter()
    session = onnxruntime.InferenceSession(str(_NETWORKS / spec.file), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    mean, std = np.array(spec.mean, np.float32), np.array(spec.std, np.float32)

    def work(path: Path) -> None:
        image = _read_rgb(path)
        resized = cv2.resize(image, (spec.size, spec.size), interpolation=cv2.INTER_AREA).astype(np.float32)
        inputs = ((resized / max(resized.max(), 1) - mean) / std).transpose(2, 0, 1)[None]
        (saliency,) = session.run([spec.output], {name: np.ascontiguousarray(inputs, np.float32)})
        scaled = (saliency[0, 0] - saliency.min()) / max(float(saliency.max() - saliency.min()), 1e-6)
        alpha = cv2.resize((scaled * 255).astype(np.uint8), image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        cv2.imwrite(str(_OUT / f"{path.stem}.png"), alpha)

    _measure(report, _written_crops(), work)


def rembg_mask(report: Report) -> None:
    """The package rembg with U2-Net-p, which it takes from the project's own file."""
    os.environ |= {"U2NET_HOME": str(_NETWORKS.resolve()), "MODEL_CHECKSUM_DISABLED": "1"}
    import rembg

    if not (_NETWORKS / "u2netp.onnx").is_file():
        raise Missing(f"{_NETWORKS}/u2netp.onnx is missing")
    session = rembg.new_session("u2netp", providers=["CPUExecutionProvider"])

    def work(path: Path) -> None:
        with Image.open(path) as image:
            rembg.remove(image.convert("RGB"), session=session, only_mask=True).save(_OUT / f"{path.stem}.png")

    _measure(report, _written_crops(), work)


def _written_masks() -> Path:
    """The folder of the masks as files of their own; empty where no model needs masks."""
    alphas, folder = Archive(Path("data/masks")), Path("plain_masks")
    folder.mkdir(exist_ok=True)
    for name in alphas.names:
        (folder / name).write_bytes(alphas.read(name))
    return folder


def resize(report: Report) -> None:
    """For each input that a model names: grey for a background, then a thumbnail in the middle of a grey canvas."""
    fill, inputs = settings.read(_PARAMS, "resize", ResizeSettings).fill, read_used(_PARAMS)
    crops, masks = {path.stem: path for path in _written_crops()}, _written_masks()
    table = split_table.read(Path("data/splits.csv")).query("status == 'ok'")
    photos = {image_id: Path("photos") / path for image_id, path in zip(table["image_id"], table["path"])}

    def piece(image_id: str, item: InputSettings) -> Image.Image:
        with Image.open((photos if item.region == "full_image" else crops)[image_id]) as file:
            shown = file.convert("RGB")
        if not item.uses_masks:
            return shown
        with Image.open(masks / f"{image_id}.png") as mask_file:
            mask = mask_file.convert("L")
        box = mask.point(lambda value: 255 * (value > 127)).getbbox()
        if item.mask_margin is not None and box:
            border = item.mask_margin * max(box[2] - box[0], box[3] - box[1])
            left, top = max(0, box[0] - border), max(0, box[1] - border)
            window = left, top, min(mask.width, box[2] + border), min(mask.height, box[3] + border)
            shown, mask = shown.crop(window), mask.crop(window)
        if item.background == "keep":
            return shown
        pixels, alpha = np.asarray(shown), np.asarray(mask)[..., None] / 255
        return Image.fromarray((pixels * alpha + np.array(fill) * (1 - alpha)).astype(np.uint8))

    def work(image_id: str) -> None:
        for name, item in inputs.items():
            small = piece(image_id, item)
            small.thumbnail(item.frame_wh)
            canvas = Image.new("RGB", item.frame_wh, fill)
            canvas.paste(small, ((item.width - small.width) // 2, (item.height - small.height) // 2))
            canvas.save(_OUT / f"{image_id}_{name}.png")

    _measure(report, photos, work)
