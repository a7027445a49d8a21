"""Time GluonCV's CenterNet-ResNet50, from files to boxes, for `benchmarks.detect.gluoncv`.

For each line on standard input it runs once over the photos and prints the seconds. The weights are random: the time
does not depend on them.
"""

import argparse
import sys
import time

import numpy as np

# mxnet still uses these names of the built-in types, which NumPy removed in 1.24.
for _builtin in (bool, int, float, object):
    setattr(np, _builtin.__name__, _builtin)

import mxnet as mx  # noqa: E402
from gluoncv import model_zoo  # noqa: E402
from gluoncv.data.transforms.presets.center_net import CenterNetDefaultValTransform, get_post_transform  # noqa: E402

_SIZE = 512


def build(is_static: bool) -> mx.gluon.HybridBlock:
    """The network, hybridized; with `is_static`, mxnet keeps its memory between calls."""
    mx.random.seed(0)
    net = model_zoo.get_model("center_net_resnet50_v1b_coco", pretrained=False, pretrained_base=False)
    net.initialize(force_reinit=True)
    net.hybridize(static_alloc=is_static, static_shape=is_static)
    return net


def detect(path: str, net: mx.gluon.HybridBlock, transform: CenterNetDefaultValTransform) -> np.ndarray:
    """Boxes `(100, 4)` of one photo in pixels of the photo."""
    photo = mx.image.imread(path)
    inputs, _ = transform(photo, np.zeros((0, 4), np.float32))
    _, _, corners = net(inputs.expand_dims(0))
    to_photo = get_post_transform(photo.shape[1], photo.shape[0], _SIZE, _SIZE)
    points = np.pad(corners[0].asnumpy().reshape(-1, 2), ((0, 0), (0, 1)), constant_values=1)
    return (points @ to_photo.T).reshape(-1, 4)


def main() -> None:
    """Run and time one pass for each line on standard input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--static", action="store_true")
    parser.add_argument("photos", nargs="+")
    arguments = parser.parse_args()
    net, transform = build(arguments.static), CenterNetDefaultValTransform(_SIZE, _SIZE)
    for _ in sys.stdin:
        started = time.perf_counter()
        for path in arguments.photos:
            detect(path, net, transform)
        print(time.perf_counter() - started, flush=True)


if __name__ == "__main__":
    main()
