"""Export a GluonCV checkpoint to ONNX, with the inputs and outputs that the stages expect of any network.

Runs in the environment of `requirements-gluoncv.lock`, started by `stages.pretrained.export`. mxnet needs an older
NumPy than the rest of the project, so this module imports nothing of the project outside this folder.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import onnx

# mxnet still uses these names of the built-in types, which NumPy removed in 1.24.
for _builtin in (bool, int, float, object):
    setattr(np, _builtin.__name__, _builtin)

try:
    import mxnet as mx
except OSError as _error:
    raise SystemExit(
        f"mxnet: expected the system's libraries, found: {_error}; try: apt-get install libgomp1"
    ) from None
import mxnet.onnx  # noqa: E402
from gluoncv import model_zoo  # noqa: E402
from gluoncv.model_zoo import model_store  # noqa: E402

from stages.pretrained.gluoncv import checkpoints  # noqa: E402

# Of ImageNet, on which every network of the zoo was trained; RGB 0..255.
_MEAN = 255 * np.array([0.485, 0.456, 0.406], np.float32)
_STD = 255 * np.array([0.229, 0.224, 0.225], np.float32)
# mxnet's exporter writes operators of opset 13, whatever it declares; from IR 4 on weights are no inputs.
_OPSET, _IR = 13, 8
_VEHICLES = ("car", "bus", "truck")


def build(name: str, size: int) -> mx.gluon.HybridBlock:
    """The network `name` of GluonCV's zoo without weights, for inputs of `size` pixels."""
    options = {} if is_detector(name) else {"crop_size": size}
    return model_zoo.get_model(name, pretrained=False, pretrained_base=False, **options)


def is_detector(name: str) -> bool:
    """Whether the network is a CenterNet; all others are segmentation networks."""
    return name.startswith("center_net_")


def load(name: str, size: int, weights: Path) -> mx.gluon.HybridBlock:
    """The network `name` with the weights of a file. Raises CheckpointError if they do not fit."""
    net = build(name, size)
    try:
        net.load_parameters(str(weights))
    except (AssertionError, ValueError, mx.MXNetError) as error:
        raise checkpoints.CheckpointError(f"{weights}: expected weights of {name}, found: {error}") from None
    return net


def vehicle_probability(net: mx.gluon.HybridBlock) -> mx.sym.Symbol:
    """A segmentation network with one output: the probability of car, bus or truck at each pixel.

    In: `picture` (N, 3, size, size) float32 RGB, normalised. Out: `mask` (N, 1, size, size) in 0..1. Classes that the
    network's data set does not have are omitted from the sum.
    """
    # ADE20K lists synonyms after a comma.
    numbers = [number for number, name in enumerate(net.classes) if name.split(",")[0] in _VEHICLES]
    probabilities = mx.sym.softmax(net(mx.sym.var("picture"))[0], axis=1)
    planes = [mx.sym.slice_axis(probabilities, axis=1, begin=number, end=number + 1) for number in numbers]
    return mx.sym.add_n(*planes, name="mask")


def heads(net: mx.gluon.HybridBlock) -> tuple[mx.sym.Symbol, dict[str, mx.nd.NDArray]]:
    """A CenterNet with its heads as outputs, and the constants that it needs beside its weights.

    In: `photo` (N, size, size, 3) float32 RGB 0..255. Out: `heatmap` (N, rows, columns, classes) after the sigmoid,
    and `extents` (N, rows, columns, 4), the distances in pixels from the cell's corner to the box's left, top, right
    and bottom, computed from GluonCV's size and offset heads.
    """
    constants = {
        "pixel_mean": mx.nd.array(_MEAN.reshape(1, 1, 1, 3)),
        "pixel_std": mx.nd.array(_STD.reshape(1, 1, 1, 3)),
    }
    mean, std = (mx.sym.var(name) for name in constants)
    inputs = mx.sym.broadcast_div(mx.sym.broadcast_sub(mx.sym.var("photo"), mean), std)
    features = net.base_network(mx.sym.transpose(inputs, axes=(0, 3, 1, 2)))
    logits, size_wh, offset_xy = (head(features) for head in net.heads)
    half_wh = size_wh * 0.5
    extents = mx.sym.concat(half_wh - offset_xy, half_wh + offset_xy, dim=1) * net.scale
    maps = {"heatmap": mx.sym.sigmoid(logits), "extents": extents}
    outputs = [mx.sym.transpose(value, axes=(0, 2, 3, 1), name=name) for name, value in maps.items()]
    return mx.sym.Group(outputs), constants


def export(symbol: mx.sym.Symbol, weights: dict[str, mx.nd.NDArray], shape: tuple[int, ...], out: Path) -> None:
    """Write a symbol with its weights as ONNX; `shape` is that of the input, whose batch becomes dynamic."""
    dynamic = ("batch", *shape[1:])
    mxnet.onnx.export_model(
        symbol, weights, [shape], np.float32, str(out), dynamic=True, dynamic_input_shapes=[dynamic]
    )
    model = onnx.load(str(out))
    model.ir_version = _IR
    model.opset_import[0].version = _OPSET
    known = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in known]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    for value in model.graph.output:
        for dimension in value.type.tensor_type.shape.dim:
            dimension.Clear()  # The exporter writes 0 for an unknown size.
    onnx.checker.check_model(model)
    onnx.save(model, str(out))


def main() -> None:
    """Obtain the weights and export the network."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", required=True, help="its name in GluonCV's model zoo")
    parser.add_argument("--weights", type=Path, required=True, help="folder that may hold NAME.params")
    parser.add_argument("--size", type=int, required=True, help="side of the square input, pixels")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    published = checkpoints.Published(arguments.network, model_store._model_sha1.get(arguments.network))
    server = os.environ.get("MXNET_GLUON_REPO") or model_store.apache_repo_url
    with tempfile.TemporaryDirectory() as folder:
        path = checkpoints.obtain(published, arguments.weights, server, Path(folder))
        net = load(arguments.network, arguments.size, path)
    weights, size = {name: value.data() for name, value in net.collect_params().items()}, arguments.size
    if is_detector(arguments.network):
        symbol, constants = heads(net)
        export(symbol, constants | weights, (1, size, size, 3), arguments.out)
    else:
        export(vehicle_probability(net), weights, (1, 3, size, size), arguments.out)


if __name__ == "__main__":
    try:
        main()
    except checkpoints.CheckpointError as error:
        raise SystemExit(f"gluoncv_to_onnx: {error}") from None
