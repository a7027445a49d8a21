"""The networks by name: where the file is, what goes in, what comes out."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Detector:
    """A CenterNet as ONNX up to its heads.

    `size`: side of the square input in pixels, `(N, size, size, 3)` float32 RGB 0..255. `outputs`: names of the
    heat map after the sigmoid and of the extents (left, top, right, bottom in input pixels). `vehicles`: class
    number to name, for the classes that are kept.
    """

    file: str
    size: int
    outputs: tuple[str, str]
    stride: int
    vehicles: dict[int, str]


@dataclass(frozen=True)
class Segmenter:
    """A network that gives the soft mask of the foremost object.

    `size`: side of the square input in pixels, `(N, 3, size, size)` float32 RGB, normalised by `mean` and `std`
    (of values in 0..1). `output`: name of the map `(N, 1, size, size)` float32.
    """

    file: str
    size: int
    output: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


DETECTORS = {
    # COCO-80 counted from 0. Small cars are often called trucks, and the other way round.
    "centernet_mobilenetv3": Detector(
        file="centernet_mobilenetv3.onnx",
        size=512,
        outputs=("tower_0/keypoints:0", "tower_0/wh:0"),
        stride=4,
        vehicles={2: "car", 5: "bus", 7: "truck"},
    ),
}

SEGMENTERS = {
    "u2netp": Segmenter(
        file="u2netp.onnx",
        size=320,
        output="1959",
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
    ),
}
