"""GluonCV's own tools for `gluoncv_roundtrip.py`, in GluonCV's environment: train a CenterNet, and find cars with it.

Nothing of this project takes part: GluonCV's training transform, losses and network, its evaluation transform and its
decoder. The weights start at random, since the published ones may not be had.
"""

import argparse
import csv
import time
from pathlib import Path

# Brings back what mxnet needs of NumPy, so it comes before mxnet.
from stages.foreign import gluoncv_to_onnx

import mxnet as mx  # isort: skip
import numpy as np
from gluoncv import loss as losses
from gluoncv.data.transforms.presets.center_net import (
    CenterNetDefaultTrainTransform,
    CenterNetDefaultValTransform,
    get_post_transform,
)
from mxnet import autograd, gluon

_STRIDE = 4


class Cars(gluon.data.Dataset):
    """Photos with the one box that is known of each: GluonCV's training targets for an input of `size` pixels."""

    def __init__(self, rows: list[dict[str, str]], folder: Path, size: int, classes: list[str]) -> None:
        self._rows, self._folder, self._number = rows, folder, classes.index("car")
        self._transform = CenterNetDefaultTrainTransform(size, size, len(classes), _STRIDE)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, place: int) -> tuple[mx.nd.NDArray, ...]:
        """Input, heat map, sizes and their mask, offsets and their mask of one photo, augmented."""
        row = self._rows[place]
        corners = [float(row[name]) for name in ("x_min", "y_min", "x_max", "y_max")]
        photo = mx.image.imread(str(self._folder / row["path"]))
        return tuple(self._transform(photo, np.array([[*corners, self._number]], np.float32)))


def train(net: gluon.HybridBlock, cars: Cars, epochs: int, batch_size: int) -> None:
    """Fit `net` with GluonCV's losses and their usual weights; Adam, the rate falling on a cosine."""
    loader = gluon.data.DataLoader(cars, batch_size, shuffle=True, last_batch="discard")
    steps = epochs * len(loader)
    schedule = mx.lr_scheduler.CosineScheduler(steps, base_lr=1e-3, final_lr=1e-5, warmup_steps=steps // 20)
    trainer = gluon.Trainer(net.collect_params(), "adam", {"lr_scheduler": schedule})
    heat_loss, masked_loss = losses.HeatmapFocalLoss(from_logits=True), losses.MaskedL1Loss()
    net.hybridize(static_alloc=True)
    for epoch in range(epochs):
        started, total = time.perf_counter(), 0.0
        for inputs, heat, size, size_mask, offset, offset_mask in loader:
            with autograd.record():
                heat_found, size_found, offset_found = net(inputs)
                loss = heat_loss(heat_found, heat) + masked_loss(offset_found, offset, offset_mask)
                loss = loss + 0.1 * masked_loss(size_found, size, size_mask)
            loss.backward()
            trainer.step(1)
            total += float(loss.mean().asscalar())
        seconds = time.perf_counter() - started
        print(f"epoch {epoch + 1}/{epochs}: loss {total / len(loader):.3f}, {seconds:.0f} s", flush=True)


def find(net: gluon.HybridBlock, path: Path, size: int) -> np.ndarray:
    """What GluonCV finds in one photo: `(N, 6)` class, score, x_min, y_min, x_max, y_max in the photo's pixels."""
    photo = mx.image.imread(str(path))
    inputs, _ = CenterNetDefaultValTransform(size, size)(photo, np.zeros((0, 4), np.float32))
    classes, scores, corners = (values[0].asnumpy() for values in net(inputs.expand_dims(0)))
    to_photo = get_post_transform(photo.shape[1], photo.shape[0], size, size)
    points = np.pad(corners.reshape(-1, 2), ((0, 0), (0, 1)), constant_values=1)
    return np.column_stack([classes, scores, (points @ to_photo.T).reshape(-1, 4)])


def read(path: Path) -> list[dict[str, str]]:
    """The rows of a table with the columns `path`, `x_min`, `y_min`, `x_max`, `y_max`."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def main() -> None:
    """Train on one table of photos, write OUT/NAME.params; find cars in another's, write OUT/found.npz."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", required=True, help="its name in GluonCV's zoo")
    for name in ("photos", "train", "test", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("size", "epochs", "batch-size"):
        parser.add_argument(f"--{name}", type=int, required=True)
    arguments = parser.parse_args()
    mx.random.seed(0)
    np.random.seed(0)  # noqa: NPY002, GluonCV's transform draws from it
    weights = arguments.out / f"{arguments.network}.params"
    net = gluoncv_to_onnx.build(arguments.network, arguments.size)
    cars = Cars(read(arguments.train), arguments.photos, arguments.size, list(net.classes))
    train(net, cars, arguments.epochs, arguments.batch_size)
    net.save_parameters(str(weights))
    net = gluoncv_to_onnx.load(arguments.network, arguments.size, weights)
    found = [find(net, arguments.photos / row["path"], arguments.size) for row in read(arguments.test)]
    np.savez(arguments.out / "found.npz", *found)


if __name__ == "__main__":
    main()
