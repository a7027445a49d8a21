"""Inference with networks in ONNX files: OpenVINO on CPUs, ONNX Runtime on NVIDIA cards."""

import os
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
from google.protobuf.message import DecodeError

import stages
from stages.core import cores, programs
from stages.core.errors import UserError
from stages.networks import onnx_graph
from stages.networks.settings import InferenceSettings

# Takes a batch (N, ...) of numbers, converted to float32, and returns the outputs in the order given to `load`, each as
# N float32 arrays, one per item: joining the heat maps of a batch took a fifth of the network's own time.
InferenceFn = Callable[[np.ndarray], list[Sequence[np.ndarray]]]

_CUDA = "CUDAExecutionProvider"
_NVIDIA_SMI = ("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")


class DeviceError(UserError):
    """The device that a network runs on cannot be named."""


def load(path: Path, outputs: list[str], settings: InferenceSettings, side: int | None = None) -> InferenceFn:
    """Load the ONNX file at `path`. `outputs` are the names of the outputs to return, in this order.

    `side` is the side of the square input `(N, 3, side, side)` in pixels, where it is not the one in the file.
    Raises UserError naming the file and the command that makes it, also where the file is damaged.
    """
    _require_whole(require_network(path))
    engine = resolve_engine(settings.engine)
    if engine == "onnxruntime":
        return _load_onnxruntime(path, outputs, side)
    return _load_openvino(path, outputs, resolve_precision(settings.precision), side)


def require_network(path: Path) -> Path:
    """`path`, if there is a file. Raises UserError naming the file and the command that makes it."""
    if not path.is_file():
        raise UserError(f"{path}: expected a network here, found none; run `dvc repro {path}`")
    return path


def _require_whole(path: Path) -> None:
    """Raise UserError where the file at `path` is cut or no ONNX file; the engines tell so in many ways."""
    try:
        problem = "" if onnx.load(path).graph.node else "no layer"
    except DecodeError as error:
        problem = str(error)
    if problem:
        raise UserError(f"{path}: expected an ONNX network, found: {problem}; delete it and run `dvc repro {path}`")


def resolve_engine(engine: str) -> str:
    """The engine that `auto` stands for on this machine; any other name is returned as it is."""
    return ("onnxruntime" if _has_cuda() else "openvino") if engine == "auto" else engine


def resolve_precision(precision: str) -> str:
    """The precision that `auto` stands for on this CPU; any other name is returned as it is."""
    if precision != "auto":
        return precision
    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bf16" if "BF16" in capabilities and stages.reproducibility() == stages.METRICS else "f32"


def describe_runtime(settings: InferenceSettings) -> dict[str, str]:
    """What outputs depend on beside the network and its input: engine, arithmetic, device, versions of packages.

    Raises DeviceError where ONNX Runtime has CUDA and the NVIDIA card cannot be named.
    """
    engine = resolve_engine(settings.engine)
    names = ("numpy", "opencv-python-headless", "openvino", "pillow", "pi-heif")
    return {
        "engine": engine,
        "precision": resolve_precision(settings.precision) if engine == "openvino" else "f32",
        "reproducibility": stages.reproducibility(),
        "device": device_name(engine),
        # By the module: for NVIDIA cards the distribution is named onnxruntime-gpu.
        "onnxruntime": onnxruntime.__version__,
        **{name: metadata.version(name) for name in names},
    }


def shown(system: Mapping[str, str], is_on_cluster: bool) -> str:
    """Engine and precision of what `describe_runtime` returned, for the closing line of a stage."""
    return "{engine} {precision}".format(**system) + (" on Ray" if is_on_cluster else "")


def device_name(engine: str) -> str:
    """The maker's name of the device that `engine` (`openvino` or `onnxruntime`) runs on: a CPU, or NVIDIA cards.

    Raises DeviceError where ONNX Runtime has CUDA and `nvidia-smi` names no card.
    """
    if engine == "onnxruntime" and _has_cuda():
        return _nvidia_name()
    return str(openvino.Core().get_property("CPU", "FULL_DEVICE_NAME"))


def _has_cuda() -> bool:
    return _CUDA in onnxruntime.get_available_providers()


def _nvidia_name() -> str:
    """The name of the NVIDIA card; of different cards the names of all and which of them CUDA may use."""
    try:
        listing = programs.output(*_NVIDIA_SMI)
    except programs.ProgramError as error:
        raise _unnamed_card(str(error)) from None
    names = [line.strip() for line in listing.splitlines() if line.strip()]
    if not names:
        raise _unnamed_card("no card")
    if len(set(names)) == 1:
        return names[0]
    return f"{', '.join(names)}; CUDA_VISIBLE_DEVICES={os.environ.get('CUDA_VISIBLE_DEVICES', '')}"


def _unnamed_card(problem: str) -> DeviceError:
    return DeviceError(
        f"{' '.join(_NVIDIA_SMI)}: expected the name of the NVIDIA card, for ONNX Runtime has CUDA; found: {problem}; "
        "install the driver's tools, or set `inference.engine` to `openvino`"
    )


def _load_onnxruntime(path: Path, outputs: list[str], side: int | None) -> InferenceFn:
    model = onnx_graph.set_input_side(onnx.load(path), side).SerializeToString() if side else path
    session = onnxruntime.InferenceSession(model, providers=onnxruntime.get_available_providers())
    (input_name,) = (value.name for value in session.get_inputs())

    def run(batch: np.ndarray) -> list[Sequence[np.ndarray]]:
        return list(session.run(outputs, {input_name: batch.astype(np.float32, copy=False)}))

    return run


def _load_openvino(path: Path, outputs: list[str], precision: str, side: int | None) -> InferenceFn:
    # One stream per core, one image per stream: faster on CPUs than a batch on all cores at once, and an image's output
    # cannot depend on its place in the batch.
    streams = cores.available()
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
    # Twice as many requests as streams, so that the next image is ready when one is done.
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
