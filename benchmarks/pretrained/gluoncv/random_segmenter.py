"""Write the weights and maps of a random GluonCV segmentation network, for `benchmarks.pretrained.gluoncv.masks`."""

import argparse
import time
from pathlib import Path

# Before mxnet: it restores the names of NumPy that mxnet needs.
from stages.pretrained.gluoncv import gluoncv_to_onnx

import mxnet as mx  # isort: skip
import numpy as np

_VEHICLES = ("car", "bus", "truck")
_CONTRAST = 30  # makes the class probabilities differ between pixels


def raise_update_rate(block: mx.gluon.Block) -> None:
    """Make batch normalisation update its averages faster, so that one pass is enough.

    Not entirely: averages of only two images amplify channels with little variance, and rounding with them.
    """
    if isinstance(block, mx.gluon.nn.BatchNorm):
        block._kwargs["momentum"] = 0.6


def build(name: str, size: int, inputs: mx.nd.NDArray) -> mx.gluon.HybridBlock:
    """The network, with batch normalisation adapted to `inputs` `(N, 3, size, size)`, which bounds its activations."""
    net = gluoncv_to_onnx.build(name, size)
    net.initialize(mx.init.Xavier(), force_reinit=True)
    net.apply(raise_update_rate)
    with mx.autograd.record():
        outputs = net(inputs)
    mx.autograd.backward(outputs)  # Only this updates the averages.
    mx.nd.waitall()
    last = net.head.block[-1].weight
    last.set_data(_CONTRAST * last.data())
    return net


def main() -> None:
    """Write OUT/NAME.params, and the maps of mxnet and its seconds as OUT/expected.npz."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", required=True, help="its name in GluonCV's model zoo")
    parser.add_argument("--inputs", type=Path, required=True, help="(N, 3, size, size) float32, normalised")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    mx.random.seed(0)
    inputs = mx.nd.array(np.load(arguments.inputs))
    net = build(arguments.network, inputs.shape[2], inputs[:2])
    net.save_parameters(str(arguments.out / f"{arguments.network}.params"))
    started = time.perf_counter()
    probabilities = [net.predict(image.expand_dims(0)).softmax(axis=1).asnumpy()[0] for image in inputs]
    seconds = (time.perf_counter() - started) / len(inputs)
    numbers = [number for number, name in enumerate(net.classes) if name.split(",")[0] in _VEHICLES]
    maps = np.stack(probabilities)[:, numbers].sum(axis=1)
    np.savez(arguments.out / "expected.npz", maps=maps, seconds=seconds)


if __name__ == "__main__":
    main()
