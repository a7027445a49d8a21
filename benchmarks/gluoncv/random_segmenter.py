"""A GluonCV segmentation network of random weights, for `gluoncv_masks.py`, in GluonCV's environment."""

import argparse
import time
from pathlib import Path

# Brings back what mxnet needs of NumPy, so it comes before mxnet.
from stages.pretrained.gluoncv import gluoncv_to_onnx

import mxnet as mx  # isort: skip
import numpy as np

_VEHICLES = ("car", "bus", "truck")
_CONTRAST = 30  # makes the classes' probabilities differ from place to place


def forget(block: mx.gluon.Block) -> None:
    """Let batch normalisation take more of its averages from the next pass, so that one pass settles them.

    Not all: averages of two pictures alone blow up channels that hardly differ, and rounding with them.
    """
    if isinstance(block, mx.gluon.nn.BatchNorm):
        block._kwargs["momentum"] = 0.6


def build(name: str, size: int, pictures: mx.nd.NDArray) -> mx.gluon.HybridBlock:
    """The network, its activations kept in bounds by one pass over `pictures` `(N, 3, size, size)`."""
    net = gluoncv_to_onnx.build(name, size)
    net.initialize(mx.init.Xavier(), force_reinit=True)
    net.apply(forget)
    with mx.autograd.record():
        outputs = net(pictures)
    mx.autograd.backward(outputs)  # Only this brings the averages up to date.
    mx.nd.waitall()
    last = net.head.block[-1].weight
    last.set_data(_CONTRAST * last.data())
    return net


def main() -> None:
    """Write OUT/NAME.params, and what mxnet makes of the pictures IN.npy as OUT/found.npz."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", required=True, help="its name in GluonCV's zoo")
    parser.add_argument("--pictures", type=Path, required=True, help="(N, 3, size, size) float32, normalised")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    mx.random.seed(0)
    pictures = mx.nd.array(np.load(arguments.pictures))
    net = build(arguments.network, pictures.shape[2], pictures[:2])
    net.save_parameters(str(arguments.out / f"{arguments.network}.params"))
    started = time.perf_counter()
    probabilities = [net.predict(picture.expand_dims(0)).softmax(axis=1).asnumpy()[0] for picture in pictures]
    seconds = (time.perf_counter() - started) / len(pictures)
    numbers = [number for number, name in enumerate(net.classes) if name.split(",")[0] in _VEHICLES]
    found = np.stack(probabilities)[:, numbers].sum(axis=1)
    np.savez(arguments.out / "found.npz", maps=found, seconds=seconds)


if __name__ == "__main__":
    main()
