"""Train a CenterNet with GluonCV and detect cars with it, for `benchmarks.pretrained.gluoncv.roundtrip`.

Only GluonCV's code is used: network, targets and losses, evaluation transform and decoder. The initial weights are
random, since the published ones may be unavailable.
"""

import argparse
import csv
import time
from pathlib import Path

# Before mxnet: it restores the names of NumPy that mxnet needs.
from stages.pretrained.gluoncv import gluoncv_to_onnx

import mxnet as mx  # isort: skip
import numpy as np
from gluoncv import loss as losses
from gluoncv.data.transforms.presets.center_net import CenterNetDefaultValTransform, get_post_transform
from gluoncv.model_zoo.center_net.target_generator import CenterNetTargetGenerator
from mxnet import autograd, gluon

_STRIDE = 4


def targets(row: dict[str, str], folder: Path, size: int, classes: list[str]) -> list[np.ndarray]:
    """Input, heat map, sizes and their mask, offsets and their mask of one photo with one true box."""
    corners = [float(row[name]) for name in ("x_min", "y_min", "x_max", "y_max")]
    photo = mx.image.imread(str(folder / row["path"]))
    inputs, boxes = CenterNetDefaultValTransform(size, size)(photo, np.array([corners], np.float32))
    generate = CenterNetTargetGenerator(len(classes), size // _STRIDE, size // _STRIDE)
    maps = generate(boxes / _STRIDE, [classes.index("car")])
    return [inputs.asnumpy(), *(target.asnumpy() for target in maps)]


def train(net: gluon.HybridBlock, cars: list[np.ndarray], epochs: int, batch_size: int) -> None:
    """Fit `net` to inputs and targets `(N, ...)` with GluonCV's losses and weights; Adam, cosine schedule."""
    steps = len(cars[0]) // batch_size
    schedule = mx.lr_scheduler.CosineScheduler(epochs * steps, base_lr=1e-3, final_lr=1e-5, warmup_steps=steps // 2)
    trainer = gluon.Trainer(net.collect_params(), "adam", {"lr_scheduler": schedule})
    heat_loss, masked_loss = losses.HeatmapFocalLoss(from_logits=True), losses.MaskedL1Loss()
    net.hybridize(static_alloc=True)
    random = np.random.default_rng(0)
    for epoch in range(epochs):
        started, totals = time.perf_counter(), np.zeros(3)
        for rows in random.permutation(len(cars[0]))[: steps * batch_size].reshape(steps, batch_size):
            inputs, heat, size, size_mask, offset, offset_mask = (mx.nd.array(values[rows]) for values in cars)
            with autograd.record():
                heat_out, size_out, offset_out = net(inputs)
                parts = (
                    heat_loss(heat_out, heat),
                    0.1 * masked_loss(size_out, size, size_mask),
                    masked_loss(offset_out, offset, offset_mask),
                )
                loss = sum(parts)
            loss.backward()
            trainer.step(1)
            totals += [float(part.mean().asscalar()) for part in parts]
        means = ", ".join(f"{name} {mean:.3f}" for name, mean in zip(("heat", "size", "offset"), totals / steps))
        print(f"epoch {epoch + 1}/{epochs}: {means}; {time.perf_counter() - started:.0f} s", flush=True)


def detect(net: gluon.HybridBlock, path: Path, size: int) -> np.ndarray:
    """The detections in one photo: `(N, 6)` class, score, x_min, y_min, x_max, y_max in pixels of the photo."""
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
    """Train on one table of photos, write OUT/NAME.params; detect in those of another, write OUT/detections.npz."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", required=True, help="its name in GluonCV's model zoo")
    for name in ("photos", "train", "test", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("size", "epochs", "batch-size"):
        parser.add_argument(f"--{name}", type=int, required=True)
    arguments = parser.parse_args()
    mx.random.seed(0)
    weights = arguments.out / f"{arguments.network}.params"
    net = gluoncv_to_onnx.build(arguments.network, arguments.size)
    rows, classes = read(arguments.train), list(net.classes)
    cars = [targets(row, arguments.photos, arguments.size, classes) for row in rows]
    train(net, [np.stack(values) for values in zip(*cars)], arguments.epochs, arguments.batch_size)
    net.save_parameters(str(weights))
    net = gluoncv_to_onnx.load(arguments.network, arguments.size, weights)
    detections = [detect(net, arguments.photos / row["path"], arguments.size) for row in read(arguments.test)]
    np.savez(arguments.out / "detections.npz", *detections)


if __name__ == "__main__":
    main()
