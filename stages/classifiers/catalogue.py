"""The backbones by name, and the files of their pretrained weights; nothing heavy is imported."""

from typing import NamedTuple


class Application(NamedTuple):
    """The constructor in `keras.applications`, and how its authors scale RGB of 0..255.

    `own`: the network does it itself. `tf`: to -1..1. `torch`: to 0..1, then by ImageNet's mean and deviation.
    `caffe`: BGR, less ImageNet's mean. (The three modes of `keras.applications.imagenet_utils`.)
    """

    constructor: str
    scaling: str


# EfficientNet-B0 to B7 are left out: Keras adds a scaling to their graph only when it loads the weights itself, so
# that the same weights in the bare network predict differently. EfficientNetV2 replaces them. So is MobileNetV2, whose
# weights Keras takes as they come, without a hash.
APPLICATIONS = {
    "convnext_tiny": Application("ConvNeXtTiny", "own"),
    "convnext_small": Application("ConvNeXtSmall", "own"),
    "convnext_base": Application("ConvNeXtBase", "own"),
    "densenet121": Application("DenseNet121", "torch"),
    "densenet169": Application("DenseNet169", "torch"),
    "densenet201": Application("DenseNet201", "torch"),
    "efficientnet_v2_b0": Application("EfficientNetV2B0", "own"),
    "efficientnet_v2_b1": Application("EfficientNetV2B1", "own"),
    "efficientnet_v2_b2": Application("EfficientNetV2B2", "own"),
    "efficientnet_v2_b3": Application("EfficientNetV2B3", "own"),
    "efficientnet_v2_s": Application("EfficientNetV2S", "own"),
    "efficientnet_v2_m": Application("EfficientNetV2M", "own"),
    "inception_resnet_v2": Application("InceptionResNetV2", "tf"),
    "inception_v3": Application("InceptionV3", "tf"),
    "mobilenet_v3_large": Application("MobileNetV3Large", "own"),
    "mobilenet_v3_small": Application("MobileNetV3Small", "own"),
    "resnet50": Application("ResNet50", "caffe"),
    "resnet50_v2": Application("ResNet50V2", "tf"),
    "resnet101_v2": Application("ResNet101V2", "tf"),
    "xception": Application("Xception", "tf"),
}
EFFICIENTNET_LITES = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
# The file below models/pretrained that the project itself provides for each backbone.
WEIGHTS = {name: f"{name}.npz" for name in EFFICIENTNET_LITES} | {name: f"keras/{name}.npz" for name in APPLICATIONS}
# The shorter side in pixels from which the backbones of a family have a feature map, where it is more than one.
_MIN_SIDES = {"convnext": 32, "densenet": 32, "inception": 75, "xception": 8}


def min_side(backbone: str) -> int:
    """The least shorter side of the input of a backbone, in pixels."""
    return next((side for family, side in _MIN_SIDES.items() if backbone.startswith(family)), 1)
