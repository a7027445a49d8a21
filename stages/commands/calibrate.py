"""Measure the ranges that an 8-bit segmenter is made from, on crops.

Run it again after a change of the segmenter's 32-bit network, on the crops of the rendered sample, and commit the file.
"""

import argparse
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from stages.core import batches, command, progress
from stages.core.archive import Archive
from stages.core.errors import UserError
from stages.core.result_cache import digest_of
from stages.networks import onnx_graph
from stages.pretrained import calibration, quantization
from stages.pretrained.calibration import Calibration
from stages.pretrained.quantization import Offset
from stages.segment import segmentation
from stages.segment.segmentation import Crop
from stages.segment.settings import SegmenterSettings

# From an image `(1, 3, H, W)` to tensors `(1, C, H, W)` by name.
TensorsFn = Callable[[np.ndarray], Mapping[str, np.ndarray]]
# A channel is absorbed whose least value is so many times the greatest one of the others, and by this share of it.
_DOMINATES, _ABSORBED = 2, 0.99


def tensors_fn(model: onnx.ModelProto, names: Iterable[str]) -> TensorsFn:
    """What gives tensors of a graph by ONNX Runtime; its input is one of them, if it is named."""
    inner = [name for name in names if name != model.graph.input[0].name]
    content = onnx_graph.free_size(onnx_graph.with_outputs(model, inner)).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    image_name = session.get_inputs()[0].name
    return lambda image: {image_name: image, **dict(zip(inner, session.run(inner, {image_name: image})))}


def find_offsets(extremes: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> list[Offset]:
    """The channels that dominate their tensor, from the least and greatest value `(C,)` of each tensor's channels."""
    offsets = []
    for name, (low, high) in extremes.items():
        for channel in range(len(low)) if len(low) > 1 else ():
            if low[channel] > _DOMINATES * max(np.delete(high, channel).max(), 0):
                offsets.append(Offset(name, channel, _rounded(_ABSORBED * low[channel])))
    return offsets


def channel_extremes(tensors: TensorsFn, images: list[np.ndarray]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The least and greatest value `(C,)` of the channels of each tensor over images."""
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for image in progress.track(images, len(images), "crop", "calibrate"):
        for name, values in tensors(image).items():
            low, high = (extreme(axis=(0, 2, 3)) for extreme in (values.min, values.max))
            before = found.get(name, (low, high))
            found[name] = np.minimum(before[0], low), np.maximum(before[1], high)
    return found


def measure(model: onnx.ModelProto, images: list[np.ndarray]) -> tuple[list[Offset], dict[str, tuple[float, float]]]:
    """The offsets of a network, and the ranges of what its convolutions read once they are absorbed.

    `images` are `(1, 3, H, W)` float32, as the network takes them.
    """
    made = [node.output[0] for node in quantization.convolutions(model)]
    dominating = find_offsets(channel_extremes(tensors_fn(model, made), images))
    offsets = [offset for offset in dominating if quantization.is_absorbable(model, offset)]
    read = {node.input[0]: None for node in quantization.convolutions(model)}
    absorbed = quantization.absorb_offsets(model, offsets)
    extremes = channel_extremes(tensors_fn(absorbed, read), images)
    return offsets, {name: (_rounded(low.min()), _rounded(high.max())) for name, (low, high) in extremes.items()}


def _rounded(value: float) -> float:
    """With four digits, as a file for people has it."""
    return float(f"{value:.4g}")


def read_images(folder: Path, view: SegmenterSettings, count: int) -> list[np.ndarray]:
    """The first crops of an archive, by name, prepared as `(1, 3, side, side)`. Raises UserError for too few."""
    crops = Archive(folder)
    wanted = [Crop(name.partition(".")[0], "") for name in sorted(crops.names)[:count]]
    prepared = batches.ordered_thread_map(partial(segmentation.read_input, crops, view), wanted, 8)
    images = [image[np.newaxis] for _, image in prepared if image is not None]
    if len(images) < count:
        raise UserError(f"{folder}: expected {count} crops that can be read, found {len(images)}; run `dvc repro crop`")
    return images


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segmenter", default="u2netp", help="a network of segmenters; default: u2netp")
    parser.add_argument("--input-px", type=int, default=224, help="side of its input; default: 224")
    parser.add_argument("--networks", type=Path, default=Path("models/pretrained"), help="default: models/pretrained")
    parser.add_argument("--crops", type=Path, default=Path("data/crops"), help="default: data/crops, of the last run")
    parser.add_argument("--count", type=int, default=32, help="how many crops; default: 32")
    parser.add_argument("--out", type=Path, required=True, help="file to write: .json")
    arguments = parser.parse_args()
    view = SegmenterSettings(network=arguments.segmenter, input_px=arguments.input_px)
    path = arguments.networks / view.spec.file
    images = read_images(arguments.crops, view, arguments.count)
    model = quantization.with_opset(onnx.load(path))
    offsets, ranges = measure(model, images)
    calibration.write(arguments.out, Calibration(digest_of([path]), len(images), offsets, ranges))
    progress.summary(f"calibrate {path.name}", crops=len(images), ranges=len(ranges), offsets=len(offsets))


if __name__ == "__main__":
    command.run(main)
