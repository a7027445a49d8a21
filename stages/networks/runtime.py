"""Networks as ONNX files, run on whatever the machine has: OpenVINO on CPUs, ONNX Runtime on NVIDIA cards."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import onnxruntime
import openvino

import stages
from stages.core import params
from stages.networks import onnx_graph

# A network: a batch (N, ...) of numbers in, taken as float32. Its outputs come in the order they were asked for, each
# as N float32 arrays, one for each item: joining the heat maps of a batch took a fifth of the network's own time.
InferenceFn = Callable[[np.ndarray], list[Sequence[np.ndarray]]]


@dataclass(frozen=True)
class RuntimeParams:
    """How a network is run.

    `engine: auto` takes ONNX Runtime where it finds CUDA, OpenVINO elsewhere. `precision: auto` takes bf16
    where the CPU computes in it and may (`STAGES_ARITHMETIC=native`), f32 elsewhere; results differ in the last digits.
    """

    batch_size: params.Count
    engine: Literal["auto", "openvino", "onnxruntime"]
    precision: Literal["auto", "f32", "bf16"]


def load(path: Path, outputs: list[str], settings: RuntimeParams, side: int | None = None) -> InferenceFn:
    """Make the ONNX file at `path` callable. `outputs` names what it shall return, in this order.

    `side` is that of the square input `(N, 3, side, side)` in pixels, where it is not the one in the file.
    Raises FileNotFoundError naming the file and the command that makes it.
    """
    require_network(path)
    engine = resolve_engine(settings.engine)
    if engine == "onnxruntime":
        return _load_onnxruntime(path, outputs, side)
    return _load_openvino(path, outputs, resolve_precision(settings.precision), side)


def require_network(path: Path) -> Path:
    """`path`, where a network is. Raises FileNotFoundError naming the file and the command that makes it."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a network here, found none; run `dvc repro {path}`")
    return path


def resolve_engine(engine: str) -> str:
    """The engine that `auto` stands for on this machine; any other name is returned as it is."""
    has_cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    return ("onnxruntime" if has_cuda else "openvino") if engine == "auto" else engine


def resolve_precision(precision: str) -> str:
    """The precision that `auto` stands for on this CPU; any other name is returned as it is."""
    if precision != "auto":
        return precision
    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bf16" if "BF16" in capabilities and stages.arithmetic() == stages.NATIVE else "f32"


def describe_runtime(settings: RuntimeParams) -> dict[str, str]:
    """What a network's answers depend on beside the network: engine, arithmetic, device, the packages' versions."""
    engine = resolve_engine(settings.engine)
    names = ("numpy", "onnxruntime", "opencv-python-headless", "openvino", "pillow", "pi-heif")
    return {
        "engine": engine,
        "precision": resolve_precision(settings.precision) if engine == "openvino" else "f32",
        "arithmetic": stages.arithmetic(),
        "device": openvino.Core().get_property("CPU", "FULL_DEVICE_NAME"),
        **{name: metadata.version(name) for name in names},
    }


def describe_engine(settings: RuntimeParams) -> str:
    """Engine and precision, for people."""
    return "{engine} {precision}".format(**describe_runtime(settings))


def _load_onnxruntime(path: Path, outputs: list[str], side: int | None) -> InferenceFn:
    model = onnx_graph.resized(onnx.load(path), side).SerializeToString() if side else path
    session = onnxruntime.InferenceSession(model, providers=onnxruntime.get_available_providers())
    (input_name,) = (value.name for value in session.get_inputs())

    def run(batch: np.ndarray) -> list[Sequence[np.ndarray]]:
        return list(session.run(outputs, {input_name: batch.astype(np.float32, copy=False)}))

    return run


def _load_openvino(path: Path, outputs: list[str], precision: str, side: int | None) -> InferenceFn:
    # One stream a core, one picture a stream: faster on CPUs than a batch through all cores at once, and a
    # picture's result cannot depend on its place in the batch.
    streams = os.cpu_count() or 1
    core = openvino.Core()
    graph = core.read_model(path)
    graph = openvino.Model([graph.output(name) for name in outputs], graph.get_parameters())
    shape = graph.input(0).partial_shape
    graph.reshape([1, shape[1], side, side] if side else [1, *shape[1:]])
    options = {
        "INFERENCE_PRECISION_HINT": precision,
        "NUM_STREAMS": streams,
        "INFERENCE_NUM_THREADS": streams,
    }
    # Twice as many requests as streams, so that the next picture lies ready when one is done.
    queue = openvino.AsyncInferQueue(core.compile_model(graph, "CPU", options), 2 * streams)

    def run(batch: np.ndarray) -> list[Sequence[np.ndarray]]:
        results: list[list[np.ndarray]] = [[]] * len(batch)

        def collect(request: openvino.InferRequest, place: int) -> None:
            results[place] = [tensor.data[0].copy() for tensor in request.output_tensors]

        queue.set_callback(collect)
        for place in range(len(batch)):
            queue.start_async([batch[place : place + 1].astype(np.float32, copy=False)], userdata=place)
        queue.wait_all()
        return list(zip(*results))

    return run
