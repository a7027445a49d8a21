"""Inference with ONNX files in OpenVINO: one image on each core, networks compiled once for a machine."""

import hashlib
import json
import os
import tempfile
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.etree import ElementTree

import numpy as np

import stages
from stages.core import cores
from stages.networks import compiled_networks

if TYPE_CHECKING:
    import openvino

RunFn = Callable[[Iterable[np.ndarray]], Iterator[list[np.ndarray]]]
# Of the name of a compiled network.
_KEY_DIGITS = 16


class _Format(NamedTuple):
    """What a network is compiled for: the shape of an image, and its type, `uint8` or `float32`."""

    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def of(cls, image: np.ndarray) -> "_Format":
        """The format that an image comes in: bytes go to the network as they are, and it converts them."""
        return cls(image.shape, "uint8" if image.dtype == np.uint8 else "float32")


class _Running(NamedTuple):
    """An image on its way through the network: its request, where that goes back to, its input and its outputs.

    The request reads and writes these arrays themselves, so that nothing is copied.
    """

    request: "openvino.InferRequest"
    idle: list["openvino.InferRequest"]
    image: np.ndarray
    outputs: list[np.ndarray]

    def result(self) -> list[np.ndarray]:
        """Wait for the outputs, and free the request."""
        self.request.wait()
        self.idle.append(self.request)
        return self.outputs


class _Requests:
    """The requests of a network, made when they are first needed, by the format of their images."""

    def __init__(self, network: "_Network", expected: np.ndarray | None) -> None:
        self._compiled = cache(network.compiled)
        self._idle: defaultdict[_Format, list[openvino.InferRequest]] = defaultdict(list)
        # OpenVINO works outside Python's lock: several networks are made ready side by side, and while photos are read.
        self._first = None if expected is None else _Format.of(expected)
        self._ahead = None if self._first is None else ThreadPoolExecutor(1).submit(network.compiled, self._first)

    def start(self, image: np.ndarray) -> _Running:
        """Send an image through the network."""
        from openvino import Tensor

        form = _Format.of(image)
        try:
            request = self._idle[form].pop()
        except IndexError:
            request = self._network(form).create_infer_request()
        batch = np.require(image[np.newaxis], form.dtype, ["C", "W"])  # OpenVINO takes no array that is read-only
        request.set_input_tensor(Tensor(batch, shared_memory=True))
        outputs = [np.empty(tensor.shape, tensor.element_type.to_dtype()) for tensor in request.output_tensors]
        for number, output in enumerate(outputs):
            request.set_output_tensor(number, Tensor(output, shared_memory=True))
        request.start_async()
        return _Running(request, self._idle[form], batch, [output[0] for output in outputs])

    def _network(self, form: _Format) -> "openvino.CompiledModel":
        return self._ahead.result() if self._ahead is not None and form == self._first else self._compiled(form)


def load(
    path: Path, outputs: Sequence[str], precision: str, f32_nodes: Sequence[str], expected: np.ndarray | None
) -> RunFn:
    """Load an ONNX file; see `runtime.load`."""
    # One stream per core, one image per stream: faster on CPUs than a batch on all cores at once, and an image's output
    # cannot depend on its place in the batch.
    streams = cores.available()
    options = {"INFERENCE_PRECISION_HINT": precision, "NUM_STREAMS": streams, "INFERENCE_NUM_THREADS": streams}
    # Else each process ties its threads to the first cores: two processes of one core each would share one.
    options["ENABLE_CPU_PINNING"] = False
    # Twice as many requests as streams, so that the next image is ready when one is done.
    n_requests = 2 * streams
    requests = _Requests(_Network(path, outputs, options, f32_nodes if precision == "bf16" else ()), expected)

    def run(images: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
        # Not by OpenVINO's AsyncInferQueue: a callback that waits for Python's lock hangs where the queue is freed.
        running: deque[_Running] = deque()
        try:
            for image in images:
                if len(running) == n_requests:
                    yield running.popleft().result()
                running.append(requests.start(image))
            while running:
                yield running.popleft().result()
        finally:  # also of a caller that takes no more
            for one in running:
                one.result()

    return run


@cache
def _core() -> "openvino.Core":
    import openvino

    return openvino.Core()


class _Network:
    """An ONNX file that is compiled for each size of image, or taken from the cache of compiled networks."""

    def __init__(self, path: Path, outputs: Sequence[str], options: dict[str, Any], f32_nodes: Sequence[str]) -> None:
        self.core = _core()
        self.content, self.outputs, self.options, self.f32_nodes = path.read_bytes(), outputs, options, f32_nodes
        self.digest = hashlib.sha256(self.content).hexdigest()
        # What was compiled before is whole.
        if not compiled_networks.has_any(self.digest):
            from stages.networks import onnx_graph

            onnx_graph.require_whole(path)

    def compiled(self, image: _Format) -> "openvino.CompiledModel":
        """The network for images of one format."""
        key = self._key(image)
        if (kept := compiled_networks.read(self.digest, key)) is not None:
            try:
                return self.core.import_model(kept, "CPU", self.options)
            except RuntimeError:  # of an OpenVINO that was built otherwise
                pass
        graph = _with_input(self.graph(), image)
        compiled = self.core.compile_model(graph, "CPU", self.options)
        compiled_networks.write(self.digest, key, compiled.export_model().getvalue())
        return compiled

    def graph(self) -> "openvino.Model":
        """The graph with the outputs that are wanted; none named: its own."""
        import openvino

        graph = self.core.read_model(self.content, b"")
        if self.f32_nodes:
            graph = _with_f32(self.core, graph, self.f32_nodes)
        if not self.outputs:
            return graph
        known = {name for output in graph.outputs for name in output.names}
        graph.add_outputs([name for name in self.outputs if name not in known])
        return openvino.Model([graph.output(name) for name in self.outputs], graph.get_parameters())

    def _key(self, image: _Format) -> str:
        """A hash, in hex, of all that the compiled network depends on beside the file."""
        import openvino

        device = [self.core.get_property("CPU", name) for name in ("FULL_DEVICE_NAME", "OPTIMIZATION_CAPABILITIES")]
        limits = [stages.reproducibility(), os.environ.get("ONEDNN_MAX_CPU_ISA")]
        options = [image, list(self.outputs), self.options, list(self.f32_nodes)]
        code = Path(__file__).read_text(encoding="utf-8")
        text = json.dumps([openvino.__version__, code, device, limits, options], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_KEY_DIGITS]


def _with_input(graph: "openvino.Model", image: _Format) -> "openvino.Model":
    """The graph for one image of a format, which it first converts to its own type."""
    import openvino
    from openvino.preprocess import PrePostProcessor

    graph.reshape([1, *image.shape])
    processor = PrePostProcessor(graph)
    processor.input().tensor().set_element_type(openvino.Type(np.dtype(image.dtype)))
    return processor.build()


def _with_f32(core: "openvino.Core", graph: "openvino.Model", names: Sequence[str]) -> "openvino.Model":
    """A copy of `graph` in which the nodes of these names compute in 32 bits, whatever the others do.

    A node that makes an output of the graph goes by the output's name. OpenVINO's own format alone has a mark for this,
    which nodes in memory cannot be given from Python.
    """
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        layout, weights = Path(folder) / "graph.xml", Path(folder) / "graph.bin"
        openvino.serialize(graph, layout, weights)
        tree = ElementTree.parse(layout)
        for layer in tree.iter("layer"):
            # One node of ONNX may become several: a convolution, and its bias.
            if layer.get("name", "").partition("/")[0] in names:
                notes = layer.find("rt_info")
                notes = ElementTree.SubElement(layer, "rt_info") if notes is None else notes
                ElementTree.SubElement(notes, "attribute", name="precise", version="0")
        return core.read_model(ElementTree.tostring(tree.getroot()), weights.read_bytes())
