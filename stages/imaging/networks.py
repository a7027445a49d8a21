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
    (of values in 0..1). `output`: name of the map `(N, 1, size, size)` float32. `is_relative`: brightness counts
    from 0 to the picture's own highest value, and the map from its own lowest value to its highest, as the
    authors of U2-Net do (Qin et al., arXiv 2005.09007; their reference code); otherwise the map lies in 0..1.
    """

    file: str
    size: int
    output: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    is_relative: bool


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
        is_relative=True,
    ),
    # Finer edges at many times the cost (Qin et al.: Highly Accurate Dichotomous Image Segmentation, arXiv 2203.03041).
    "isnet": Segmenter(
        file="isnet.onnx",
        size=1024,
        output="output",
        mean=(0.5, 0.5, 0.5),
        std=(1.0, 1.0, 1.0),
        is_relative=False,
    ),
}

# Of all that any of the detectors can find.
CLASS_NAMES = tuple(sorted({name for spec in DETECTORS.values() for name in spec.vehicles.values()}))
