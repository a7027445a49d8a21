"""Some of the project's own settings models, for the tests of what reads and describes them."""

from stages.classifiers.settings import ModelSettings
from stages.core.settings import Settings
from stages.crop.settings import CropSettings
from stages.detect.settings import DetectSettings
from stages.ensemble.settings import EnsembleSettings
from stages.mask.settings import MaskSettings
from stages.networks.settings import InferenceSettings
from stages.train.settings import AugmentSettings, Phase, TrainSettings

__all__ = ["AugmentSettings", "InferenceSettings", "Phase"]

SECTIONS: dict[str, type[Settings]] = {
    "detect": DetectSettings,
    "crop": CropSettings,
    "mask": MaskSettings,
    "train": TrainSettings,
    "ensemble": EnsembleSettings,
}
NAMED: dict[str, type[Settings]] = {"models": ModelSettings}
