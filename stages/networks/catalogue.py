"""The networks by name: where the file is, what goes in, what comes out."""

from dataclasses import dataclass
from typing import Literal

# Class names by number, each in the order of its data set's own tools, counted from 0.
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
    """A CenterNet as ONNX up to its heads.

    `size`: side of the square input in pixels, `(N, size, size, 3)` float32 RGB 0..255. `outputs`: names of the heat
    map `(N, rows, columns, C)` after the sigmoid and of the extents `(N, rows, columns, 4)` (left, top, right, bottom
    in input pixels). `classes`: the C names by number. `fit`: how the network's training brought a photo into the
    input: `letterbox`, by area, grey around it; or `warp`, by one affine map, black around it.
    """

    file: str
    size: int
    outputs: tuple[str, str]
    stride: int
    classes: tuple[str, ...]
    fit: Literal["letterbox", "warp"]


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


# GluonCV's CenterNets by what they stand on. Those with deformable convolutions (`_dcnv2`) have no form in ONNX.
_GLUONCV_BASES = (
    "resnet18_v1b",
    "resnet50_v1b",
    "resnet101_v1b",
    "dla34",
    "mobilenetv3_large_duc",
    "mobilenetv3_small_duc",
)

# Those of its segmentation networks that know cars and have published weights; PSP cannot be exported.
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
    ),
    **{
        name: _gluoncv(name, classes)
        for base in _GLUONCV_BASES
        for name, classes in ((f"gluoncv/center_net_{base}_voc", VOC), (f"gluoncv/center_net_{base}_coco", COCO))
    },
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
    # How probable car, bus and truck are together; sizes are written into these graphs.
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

# Of all that any of the detectors can find.
CLASS_NAMES = tuple(sorted({name for spec in DETECTORS.values() for name in spec.classes}))
