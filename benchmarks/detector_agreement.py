"""Boxes of the ONNX heads and this project's decoder against the original TensorFlow.js graph, decoding and all.

Both get the same 512x512 pictures, one at a time. TensorFlow runs without oneDNN, which moves its sizes by pixels.
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
# A picture `(size, size, 3)` uint8 RGB in, its objects in pixels of that picture out.
Detect = Callable[[np.ndarray], Detections]
_SAME_IOU = 0.5


class Pairing(NamedTuple):
    """Boxes of two detectors that are the same object, `(N, 4)` each, and the scores of those left over."""

    first: np.ndarray
    second: np.ndarray
    first_alone: np.ndarray
    second_alone: np.ndarray


def original(graph_json: Path, min_score: float) -> Detect:
    """The whole TensorFlow.js graph in TensorFlow; it keeps the best 100 boxes of all 80 classes."""
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(read_graph(graph_json), name="")
    session = tf.compat.v1.Session(graph=graph)

    def detect(picture: np.ndarray) -> Detections:
        feed = {"tower_0/images:0": picture[None].astype(np.float32)}
        rows = session.run("tower_0/detections:0", feed)[0]
        kept = rows[rows[:, 4] >= min_score]
        return Detections(kept[:, :4], kept[:, 4], kept[:, 5].astype(np.int64))

    return detect


def read_graph(graph_json: Path) -> tf.compat.v1.GraphDef:
    """The graph with its weights. Fused convolutions stay, but for depthwise ones, which TensorFlow does not have."""
    model = json.loads(graph_json.read_text(encoding="utf-8"))
    stored = json_format.ParseDict(model["modelTopology"], tf.compat.v1.GraphDef(), ignore_unknown_fields=True)
    weights = tfjs.read_weights(model["weightsManifest"], graph_json.parent)
    graph = tf.compat.v1.GraphDef(versions=stored.versions)
    for node in stored.node:
        alone = tf.compat.v1.GraphDef(node=[node])
        if node.op == "Const":
            alone.node[0].attr["value"].tensor.CopyFrom(tf.make_tensor_proto(weights[node.name]))
        elif node.op == "_FusedConv2D":
            # TensorFlow asks for the types of what is fused in, which TensorFlow.js leaves out.
            alone.node[0].attr["TArgs"].list.type.extend([tf.float32.as_datatype_enum] * node.attr["num_args"].i)
        elif node.op == "FusedDepthwiseConv2dNative":
            alone = tfjs.split_fused(alone)
        graph.node.extend(alone.node)
    return graph


def ours(networks: Path, spec: Detector, settings: DetectSettings, engine: Engine, precision: Precision) -> Detect:
    """This project's route at batch 1: the ONNX file up to the heads, then its own decoder."""
    alone = InferenceSettings(batch_size=1, engine=engine, precision=precision)
    network = runtime.load(networks / spec.file, list(spec.outputs), alone)

    def detect(picture: np.ndarray) -> Detections:
        heatmaps, extents = network(picture[None])
        return centernet.decode(heatmaps[0], extents[0], spec.stride, settings.max_boxes, settings.min_score)

    return detect


def pair(a: Detections, b: Detections) -> Pairing:
    """Pair boxes of one class that overlap each other best, by at least IoU 0.5."""
    overlaps = box_iou(a.boxes[:, None], b.boxes[None]) * (a.classes[:, None] == b.classes[None])
    if not overlaps.size:
        return Pairing(a.boxes[:0], b.boxes[:0], a.scores, b.scores)
    best_b, best_a = overlaps.argmax(axis=1), overlaps.argmax(axis=0)
    rows = np.arange(len(a.boxes))
    is_paired = (best_a[best_b] == rows) & (overlaps[rows, best_b] >= _SAME_IOU)
    columns = best_b[is_paired]
    return Pairing(a.boxes[is_paired], b.boxes[columns], a.scores[~is_paired], np.delete(b.scores, columns))


def compare(pictures: list[np.ndarray], first: Detect, second: Detect, title: str) -> pd.Series:
    """How the boxes of two detectors differ over all pictures; differences of corners in pixels of the input."""
    tracked = progress.track(pictures, len(pictures), "photo", title)
    pairings = [pair(first(picture), second(picture)) for picture in tracked]
    merged = Pairing(*(np.concatenate(parts) for parts in zip(*pairings)))
    difference = np.abs(merged.first - merged.second).max(axis=1)
    overlaps = box_iou(merged.first, merged.second)
    figures = {
        "photos": len(pictures),
        "paired boxes": len(difference),
        "corner difference, median px": np.median(difference),
        "corner difference, 99 % px": np.quantile(difference, 0.99),
        "corner difference, largest px": difference.max(),
        "share within 1 px": (difference <= 1).mean(),
        "mean IoU": overlaps.mean(),
        "lowest IoU": overlaps.min(),
        "boxes of the first alone": len(merged.first_alone),
        "highest score of the first's": merged.first_alone.max(initial=0),
        "boxes of the second alone": len(merged.second_alone),
        "highest score of the second's": merged.second_alone.max(initial=0),
    }
    return pd.Series(figures, name=title)


def main() -> None:
    """Print the table of differences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--networks", type=Path, default=Path("models/pretrained"))
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--limit", type=int, default=120)
    arguments = parser.parse_args()
    settings = read_settings(arguments.params, "detect", DetectSettings)
    spec = DETECTORS[settings.network]
    graph = arguments.networks / "downloads" / settings.network / "centernet.json"
    paths = sorted(arguments.folder.rglob("*.jpg"))[: arguments.limit]
    pictures = [prepare(path.read_bytes(), spec)[0] for path in paths]
    theirs = original(graph, settings.min_score)
    exact = ours(arguments.networks, spec, settings, "openvino", "f32")
    other = ours(arguments.networks, spec, settings, "onnxruntime", "f32")
    fast = ours(arguments.networks, spec, settings, "openvino", "bf16")
    columns = [
        compare(pictures, exact, theirs, "OpenVINO f32 with TensorFlow"),
        compare(pictures, other, theirs, "ONNX Runtime with TensorFlow"),
        compare(pictures, fast, exact, "OpenVINO bf16 with f32"),
    ]
    table = pd.DataFrame(columns)
    timing.show(table.T, f"{arguments.folder}")


if __name__ == "__main__":
    main()
