"""Inference with networks in ONNX files: OpenVINO on CPUs, ONNX Runtime on NVIDIA cards or where it is alone.

Only the engine that is used is imported: the other one may not be installed.
"""

import os
import platform
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import numpy as np

import stages
from stages.core import programs
from stages.core.batches import batched
from stages.core.errors import UserError
from stages.networks import openvino_network
from stages.networks.settings import InferenceSettings

# Takes images, arrays of numbers of one size or several, converted to the network's type. Yields for each, in order,
# its outputs, float32, in the order given to `load`. Images are taken as the network comes to them, some ahead of what
# is yielded: it works on the next ones while the caller reads an output, and does not pause between batches.
InferenceFn = Callable[[Iterable[np.ndarray]], Iterator[Sequence[np.ndarray]]]
Item = TypeVar("Item")

_CUDA = "CUDAExecutionProvider"
_NVIDIA_SMI = ("nvidia-smi", "--query-gpu=name", "--format=csv,noheader")


class EngineError(UserError):
    """The engine is not installed."""


class DeviceError(UserError):
    """The device that a network runs on cannot be named."""


def load(
    path: Path,
    outputs: Sequence[str],
    settings: InferenceSettings,
    f32_nodes: Sequence[str] = (),
    expected: np.ndarray | None = None,
) -> InferenceFn:
    """Load the ONNX file at `path`. `outputs` names the tensors to return, in this order: outputs, or inner ones.

    Without names these are the outputs of the file. Images may have another size than the one in the file: it is made
    ready for each size and type when the first one comes, for those of the `expected` image at once, in the background.
    Nodes that `f32_nodes` names compute in 32 bits where the others do in bf16. Raises UserError naming the file and
    the command that makes it, also where it is damaged.
    """
    require_network(path)
    engine = resolve_engine(settings.engine)
    if engine == "onnxruntime":
        return _load_onnxruntime(path, outputs, settings.batch_size)
    return openvino_network.load(path, outputs, resolve_precision(settings.precision), f32_nodes, expected)


def run_each(
    network: InferenceFn, items: Iterable[Item], image_of: Callable[[Item], np.ndarray]
) -> Iterator[tuple[Item, Sequence[np.ndarray]]]:
    """Yield every item, in order, with the outputs of the network for its image."""
    waiting: deque[Item] = deque()

    def inputs() -> Iterator[np.ndarray]:
        for item in items:
            waiting.append(item)
            yield image_of(item)

    for outputs in network(inputs()):
        yield waiting.popleft(), outputs


def require_network(path: Path) -> Path:
    """`path`, if there is a file. Raises UserError naming the file and the command that makes it."""
    if not path.is_file():
        raise UserError(f"{path}: expected a network here, found none; run `dvc repro {path}`")
    return path


def resolve_engine(engine: str) -> str:
    """The engine that `auto` stands for on this machine; any other name is returned as it is.

    Raises EngineError where it is not installed.
    """
    if engine == "auto":
        engine = "openvino" if find_spec("openvino") and not _has_cuda() else "onnxruntime"
    if not find_spec(engine):
        raise EngineError(f"inference.engine: expected the package {engine}, found none; install it, or set auto")
    return engine


def resolve_precision(precision: str) -> str:
    """The precision that `auto` stands for on this CPU; any other name is returned as it is."""
    if precision != "auto":
        return precision
    import openvino

    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return "bf16" if "BF16" in capabilities and stages.reproducibility() == stages.METRICS else "f32"


def describe_runtime(settings: InferenceSettings) -> dict[str, str]:
    """What outputs depend on beside the network and its input: engine, arithmetic, device, versions of packages.

    Raises DeviceError where ONNX Runtime has CUDA and the NVIDIA card cannot be named.
    """
    engine = resolve_engine(settings.engine)
    names = ("numpy", "opencv-python-headless", *(["openvino"] if find_spec("openvino") else []), "pillow", "pi-heif")
    return {
        "engine": engine,
        "precision": resolve_precision(settings.precision) if engine == "openvino" else "f32",
        "reproducibility": stages.reproducibility(),
        "device": device_name(engine),
        **_onnxruntime_version(),
        **{name: metadata.version(name) for name in names},
    }


def _onnxruntime_version() -> dict[str, str]:
    if not find_spec("onnxruntime"):
        return {}
    import onnxruntime

    # By the module: for NVIDIA cards the distribution is named onnxruntime-gpu.
    return {"onnxruntime": onnxruntime.__version__}


def shown(system: Mapping[str, str], is_on_cluster: bool) -> str:
    """Engine and precision of what `describe_runtime` returned, for the closing line of a stage."""
    return "{engine} {precision}".format(**system) + (" on Ray" if is_on_cluster else "")


def device_name(engine: str) -> str:
    """The maker's name of the device that `engine` (`openvino` or `onnxruntime`) runs on: a CPU, or NVIDIA cards.

    Raises DeviceError where ONNX Runtime has CUDA and `nvidia-smi` names no card.
    """
    if engine == "onnxruntime" and _has_cuda():
        return _nvidia_name()
    if engine == "onnxruntime" and not find_spec("openvino"):
        return platform.processor() or platform.machine()
    import openvino

    return str(openvino.Core().get_property("CPU", "FULL_DEVICE_NAME"))


def _has_cuda() -> bool:
    if not find_spec("onnxruntime"):
        return False
    import onnxruntime

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


def _load_onnxruntime(path: Path, outputs: Sequence[str], batch_size: int) -> InferenceFn:
    import onnxruntime

    from stages.networks import onnx_graph

    whole = onnx_graph.require_whole(path)
    names = list(outputs) or [value.name for value in whole.graph.output]
    model = onnx_graph.free_size(onnx_graph.with_outputs(whole, names)).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=onnxruntime.get_available_providers())
    (declared,) = session.get_inputs()
    # OpenVINO converts by itself; here a classifier, whose graph takes bytes, refuses floats.
    dtype = np.uint8 if declared.type == "tensor(uint8)" else np.float32

    def run(images: Iterable[np.ndarray]) -> Iterator[Sequence[np.ndarray]]:
        for batch in batched(images, batch_size):
            yield from run_batch(batch)

    def run_batch(batch: list[np.ndarray]) -> list[Sequence[np.ndarray]]:
        places: dict[tuple[int, ...], list[int]] = {}
        for place, item in enumerate(batch):
            places.setdefault(item.shape, []).append(place)
        found: dict[int, Sequence[np.ndarray]] = {}
        for group in places.values():
            inputs = np.stack([batch[place] for place in group]).astype(dtype, copy=False)
            found |= dict(zip(group, zip(*session.run(names, {declared.name: inputs}))))
        return [found[place] for place in range(len(batch))]

    return run
