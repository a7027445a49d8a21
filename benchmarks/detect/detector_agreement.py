"""Compare the boxes of the ONNX heads and this project's decoder with those of the original TensorFlow.js graph.

Both get the same 512x512 images, one at a time. TensorFlow runs without oneDNN, which changes its sizes by pixels.
"""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"

import numpy as np
import pandas as pd
import tensorflow as tf
from google.protobuf import json_format

from benchmarks import timing
from stages.core import progress
from stages.core.settings import read as read_settings
from stages.detect import centernet
from stages.detect.centernet import Detections
from stages.detect.detector import prepare
from stages.detect.settings import DetectSettings
from stages.images.overlap import box_iou
from stages.networks import runtime
from stages.networks.catalogue import DETECTORS, Detector
from stages.networks.settings import InferenceSettings
from stages.pretrained import tfjs

Precision = Literal["f32", "bf16"]
Engine = Literal["openvino", "onnxruntime"]
# An image `(size, size, 3)` uint8 RGB to its objects in pixels of the image.
DetectFn = Callable[[np.ndarray], Detections]
_SAME_IOU = 0.5


class Matches(NamedTuple):
    """Matched boxes of two detectors, `(N, 4)` each, and the scores of the unmatched ones."""

    first: np.ndarray
    second: np.ndarray
    first_unmatched: np.ndarray
    second_unmatched: np.ndarray


def tensorflow_detector(graph_json: Path, min_score: float) -> DetectFn:
    """The complete TensorFlow.js graph in TensorFlow; it returns the best 100 boxes of all 80 classes."""
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(read_graph(graph_json), name="")
    session = tf.compat.v1.Session(graph=graph)

    def detect(image: np.ndarray) -> Detections:
        feed = {"tower_0/images:0": image[None].astype(np.float32)}
        rows = session.run("tower_0/detections:0", feed)[0]
        kept = rows[rows[:, 4] >= min_score]
        return Detections(kept[:, :4], kept[:, 4], kept[:, 5].astype(np.int64))

    return detect


def read_graph(graph_json: Path) -> tf.compat.v1.GraphDef:
    """The graph with its weights. Fused convolutions are kept, except depthwise ones, which TensorFlow lacks."""
    model = json.loads(graph_json.read_text(encoding="utf-8"))
    stored = json_format.ParseDict(model["modelTopology"], tf.compat.v1.GraphDef(), ignore_unknown_fields=True)
    weights = tfjs.read_weights(model["weightsManifest"], graph_json.parent)
    graph = tf.compat.v1.GraphDef(versions=stored.versions)
    for node in stored.node:
        part = tf.compat.v1.GraphDef(node=[node])
        if node.op == "Const":
            part.node[0].attr["value"].tensor.CopyFrom(tf.make_tensor_proto(weights[node.name]))
        elif node.op == "_FusedConv2D":
            # TensorFlow requires the types of the fused arguments, which TensorFlow.js omits.
            part.node[0].attr["TArgs"].list.type.extend([tf.float32.as_datatype_enum] * node.attr["num_args"].i)
        elif node.op == "FusedDepthwiseConv2dNative":
            part = tfjs.split_fused(part)
        graph.node.extend(part.node)
    return graph


def onnx_detector(
    networks: Path,
    spec: Detector,
    settings: DetectSettings,
    engine: Engine,
    precision: Precision,
    f32_nodes: tuple[str, ...] = (),
) -> DetectFn:
    """The detector of this project at batch size 1: the ONNX file with the heads, then the decoder."""
    single = InferenceSettings(batch_size=1, engine=engine, precision=precision)
    network = runtime.load(networks / spec.file, spec.outputs, single, f32_nodes)

    def detect(image: np.ndarray) -> Detections:
        ((heatmap, extents),) = network([image])
        return centernet.decode(heatmap, extents, spec.stride, settings.max_boxes, settings.min_score)

    return detect


def match(a: Detections, b: Detections) -> Matches:
    """Match boxes of one class that are each other's best, with an IoU of at least 0.5."""
    overlaps = box_iou(a.boxes[:, None], b.boxes[None]) * (a.classes[:, None] == b.classes[None])
    if not overlaps.size:
        return Matches(a.boxes[:0], b.boxes[:0], a.scores, b.scores)
    best_b, best_a = overlaps.argmax(axis=1), overlaps.argmax(axis=0)
    rows = np.arange(len(a.boxes))
    is_matched = (best_a[best_b] == rows) & (overlaps[rows, best_b] >= _SAME_IOU)
    columns = best_b[is_matched]
    return Matches(a.boxes[is_matched], b.boxes[columns], a.scores[~is_matched], np.delete(b.scores, columns))


def compare(images: list[np.ndarray], first: DetectFn, second: DetectFn, title: str) -> pd.Series:
    """The differences of the boxes of two detectors on all images; of corners in pixels of the input."""
    tracked = progress.track(images, len(images), "photo", title)
    matches = [match(first(image), second(image)) for image in tracked]
    merged = Matches(*(np.concatenate(parts) for parts in zip(*matches)))
    difference = np.abs(merged.first - merged.second).max(axis=1)
    overlaps = box_iou(merged.first, merged.second)
    figures = {
        "photos": len(images),
        "matched boxes": len(difference),
        "corner difference, median px": np.median(difference),
        "corner difference, 99 % px": np.quantile(difference, 0.99),
        "corner difference, largest px": difference.max(),
        "share within 1 px": (difference <= 1).mean(),
        "mean IoU": overlaps.mean(),
        "lowest IoU": overlaps.min(),
        "unmatched boxes of the first": len(merged.first_unmatched),
        "highest score of these, first": merged.first_unmatched.max(initial=0),
        "unmatched boxes of the second": len(merged.second_unmatched),
        "highest score of these, second": merged.second_unmatched.max(initial=0),
    }
    return pd.Series(figures, name=title)


def main() -> None:
    """Print the table of differences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="JPEG photos")
    parser.add_argument("--networks", type=Path, default=Path("models/pretrained"))
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--limit", type=int, default=120)
    arguments = parser.parse_args()
    settings = read_settings(arguments.params, "detect", DetectSettings)
    spec = DETECTORS[settings.network]
    graph = arguments.networks / "downloads" / settings.network / "centernet.json"
    paths = sorted(arguments.folder.rglob("*.jpg"))[: arguments.limit]
    images = [prepare(path.read_bytes(), spec)[0] for path in paths]
    reference = tensorflow_detector(graph, settings.min_score)
    exact = onnx_detector(arguments.networks, spec, settings, "openvino", "f32")
    other = onnx_detector(arguments.networks, spec, settings, "onnxruntime", "f32")
    fast = onnx_detector(arguments.networks, spec, settings, "openvino", "bf16", spec.f32_nodes)
    all_fast = onnx_detector(arguments.networks, spec, settings, "openvino", "bf16")
    columns = [
        compare(images, exact, reference, "OpenVINO f32 with TensorFlow"),
        compare(images, other, reference, "ONNX Runtime with TensorFlow"),
        compare(images, fast, exact, "OpenVINO bf16 but for f32_nodes, with f32"),
        compare(images, all_fast, exact, "OpenVINO bf16 throughout, with f32"),
    ]
    table = pd.DataFrame(columns)
    timing.show(table.T, f"{arguments.folder}")


if __name__ == "__main__":
    main()
