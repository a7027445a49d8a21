"""A bundle of networks of a few numbers each, made in a moment: its answers depend on the colours of a photo."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import yaml
from onnx import TensorProto, helper, numpy_helper

from stages.commands import bundle
from stages.networks.catalogue import DETECTORS, SEGMENTERS

ROOT = Path(__file__).parents[2]
CLASSES = ["red", "green", "blue <b>"]
DETECTOR, SEGMENTER = DETECTORS["centernet_mobilenetv3"], SEGMENTERS["u2netp_int8"]


def network(inputs, outputs, nodes, **constants):
    """An ONNX network in float32; `inputs` and `outputs` are names with their shapes."""
    values = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in named.items()]
        for named in (inputs, outputs)
    ]
    stored = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", *values, stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def node(kind, inputs, output, **attributes):
    return helper.make_node(kind, inputs.split(), [output], **attributes)


def detector():
    """Detects a car of 160 x 120 input pixels around the cell with the most red less green; grey has none."""
    heat, extents = DETECTOR.outputs
    to_heat = np.zeros((3, 80), np.float32)
    to_heat[:2, 2] = 0.9 / 255, -0.9 / 255
    nodes = [
        node("Transpose", "images", "planes", perm=[0, 3, 1, 2]),
        node("AveragePool", "planes", "pooled", kernel_shape=[4, 4], strides=[4, 4]),
        node("Transpose", "pooled", "cells", perm=[0, 2, 3, 1]),
        node("MatMul", "cells to_heat", "differences"),
        node("Relu", "differences", heat),
        node("MatMul", "cells no_colour", "nothing"),
        node("Add", "nothing size", extents),
    ]
    shapes = {heat: ["n", "rows", "columns", 80], extents: ["n", "rows", "columns", 4]}
    constants = {"no_colour": np.zeros((3, 4), np.float32), "size": np.array([80, 60, 80, 60], np.float32)}
    return network({"images": ["n", 512, 512, 3]}, shapes, nodes, to_heat=to_heat, **constants)


def segmenter():
    """Takes what is brighter than the darkest part for the car."""
    nodes = [node("ReduceMean", "images", SEGMENTER.output, axes=[1], keepdims=1)]
    return network({"images": ["n", 3, 320, 320]}, {SEGMENTER.output: ["n", 1, 320, 320]}, nodes)


def classifier(size_wh, n_classes=3):
    """The probabilities of classes by the mean of each colour, which the fourth class shares with the first."""
    nodes = [
        node("Relu", "images", "features"),
        node("ReduceMean", "features", "colours", axes=[1, 2], keepdims=0),
        node("MatMul", "colours scale", "scores"),
        node("Softmax", "scores", "probabilities", axis=1),
    ]
    shapes = {"images": ["n", *size_wh[::-1], 3]}, {"probabilities": ["n", n_classes]}
    scale = np.eye(3, dtype=np.float32)[:, np.arange(n_classes) % 3] / 20
    return network(*shapes, nodes, scale=scale)


def write_project(folder):
    """Write what `dvc repro` leaves of a trained ensemble of two models."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    removed = content["inputs"]["removed"] | {"width": 80, "height": 50}
    content["inputs"] = {"removed": removed, "kept": removed | {"background": "keep"}}
    content["models"] = {
        name: {"backbone": "tiny", "weights": "none", "input": kind} for name, kind in (("a", "removed"), ("b", "kept"))
    }
    ensemble = {"classes": CLASSES, "weights": {"a": 0.75, "b": 0.25}, "temperature": 1.5}
    ensemble["prior"] = dict.fromkeys(CLASSES, 1 / 3)
    files = {
        "params.yaml": yaml.safe_dump(content).encode(),
        "data/classes.txt": "\n".join(CLASSES).encode(),
        "models/ensemble.json": json.dumps(ensemble).encode(),
        f"models/pretrained/{DETECTOR.file}": detector(),
        f"models/pretrained/{SEGMENTER.file}": segmenter(),
        **{f"models/{name}/model.onnx": classifier((80, 50)) for name in "ab"},
    }
    for name, bytes_ in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(bytes_)


def make(folder):
    """Write a project below `folder` and its bundle; return the bundle's folder."""
    write_project(folder / "project")
    out, words = folder / "bundle", {"params": "params.yaml", "classes": "data/classes.txt", "models": "models"}
    words |= {"metrics": "metrics", "data": "data"}
    options = [word for name, path in words.items() for word in (f"--{name}", str(folder / "project" / path))]
    saved, sys.argv = sys.argv, ["bundle", str(out), *options]
    try:
        bundle.main()
    finally:
        sys.argv = saved
    return out
