"""The networks by name: file, inputs and outputs."""

from dataclasses import dataclass, replace
from typing import Literal

# Class names by number, counted from 0, in the order of each data set's own tools.
COCO = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis",
    "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich",
    "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed",
    "dining table", "toilet", "tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven",
    "toaster", "sink", "refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier",
    "toothbrush",
)  # fmt: skip
VOC = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog",
    "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip


@dataclass(frozen=True)
class Detector:
    """A CenterNet as an ONNX graph up to its heads.

    `size`: side of the square input in pixels, `(N, size, size, 3)` float32 RGB 0..255. `outputs`: names of the heat
    map `(N, rows, columns, C)` after the sigmoid and of the extents `(N, rows, columns, 4)` (left, top, right, bottom
    in input pixels). `classes`: the C names by number. `fit`: how photos were resized to the input in the network's
    training: `letterbox`, by area, with grey padding; or `warp`, by one affine map, with black padding. `cell`: pixels
    of the coarsest grid, whose cells of padding are cut off but for those beside the photo; None: nothing is cut off.
    `f32_nodes`: those of the graph that compute in 32 bits, also where the others do in bf16.
    """

    file: str
    size: int
    outputs: tuple[str, str]
    stride: int
    classes: tuple[str, ...]
    fit: Literal["letterbox", "warp"]
    cell: int | None = None
    f32_nodes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Segmenter:
    """A network that outputs a saliency map: the soft mask of the foremost object.

    `size`: side of the square input in pixels, `(N, 3, size, size)` float32 RGB, normalised by `mean` and `std`
    (of values in 0..1). `output`: name of the map `(N, 1, size, size)` float32. `is_relative`: the image is
    scaled by its own highest value, and the map from its own lowest value to its highest, as in the reference code
    of U2-Net (Qin et al., arXiv 2005.09007); otherwise the image is scaled by 255, and the map lies in 0..1.
    """

    file: str
    size: int
    output: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    is_relative: bool


# GluonCV's CenterNets by backbone. Those with deformable convolutions (`_dcnv2`) cannot be exported to ONNX.
_GLUONCV_BASES = (
    "resnet18_v1b",
    "resnet50_v1b",
    "resnet101_v1b",
    "dla34",
    "mobilenetv3_large_duc",
    "mobilenetv3_small_duc",
)

# GluonCV's segmentation networks with a class for cars and published weights; PSP cannot be exported.
_GLUONCV_SEGMENTERS = (
    "fcn_resnet101_voc",
    "fcn_resnet101_coco",
    "fcn_resnet101_ade",
    "deeplab_resnet101_voc",
    "deeplab_resnet101_coco",
    "deeplab_resnet101_ade",
    "deeplab_resnet152_voc",
    "deeplab_resnet152_coco",
)


def _gluoncv(name: str, classes: tuple[str, ...]) -> Detector:
    return Detector(f"{name}.onnx", size=512, outputs=("heatmap", "extents"), stride=4, classes=classes, fit="warp")


DETECTORS = {
    "centernet_mobilenetv3": Detector(
        file="centernet_mobilenetv3.onnx",
        size=512,
        outputs=("tower_0/keypoints:0", "tower_0/wh:0"),
        stride=4,
        classes=COCO,
        fit="letterbox",
        cell=32,
        # The first block: its channels are small differences on large constants, of which bf16 leaves little.
        f32_nodes=tuple(f"node_{number}" for number in range(10)),
    ),
    **{
        name: _gluoncv(name, classes)
        for base in _GLUONCV_BASES
        for name, classes in ((f"gluoncv/center_net_{base}_voc", VOC), (f"gluoncv/center_net_{base}_coco", COCO))
    },
}

_U2NETP = Segmenter(
    file="u2netp.onnx",
    size=320,
    output="1959",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
    is_relative=True,
)

SEGMENTERS = {
    "u2netp": _U2NETP,
    # Its convolutions in 8 bits: masks as good in a third to a half of the time.
    "u2netp_int8": replace(_U2NETP, file="u2netp_int8.onnx"),
    # Finer edges at many times the cost (Qin et al.: Highly Accurate Dichotomous Image Segmentation, arXiv 2203.03041).
    "isnet": Segmenter(
        file="isnet.onnx",
        size=1024,
        output="output",
        mean=(0.5, 0.5, 0.5),
        std=(1.0, 1.0, 1.0),
        is_relative=False,
    ),
    # The map is the summed probability of car, bus and truck; the input size is fixed in these graphs.
    **{
        f"gluoncv/{name}": Segmenter(
            file=f"gluoncv/{name}.onnx",
            size=480,
            output="mask",
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
            is_relative=False,
        )
        for name in _GLUONCV_SEGMENTERS
    },
}

# Of all detectors.
CLASS_NAMES = tuple(sorted({name for spec in DETECTORS.values() for name in spec.classes}))
