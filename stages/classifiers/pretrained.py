"""The network of a model before training: its configuration and its pretrained weights."""

import zipfile
import zlib
from pathlib import Path

import numpy as np

from stages.classifiers import backbones
from stages.classifiers.backbones import ClassifierConfig, ClassifierModels
from stages.classifiers.settings import RANDOM_WEIGHTS, ModelSettings
from stages.core.errors import UserError

Tensors = dict[str, np.ndarray]


def read(folder: Path, model: ModelSettings) -> Tensors | None:
    """Read the pretrained tensors of `model`, None where it starts from random weights.

    Raises UserError where the file is missing or damaged.
    """
    if model.weights == RANDOM_WEIGHTS:
        return None
    path = folder / model.weights
    if not path.is_file():
        raise UserError(f"{path}: expected pretrained weights, found none; run `dvc repro` in {path.parent}")
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return dict(archive)
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path}: expected pretrained weights, found a damaged file ({error}); delete it and run `dvc repro` in "
            f"{path.parent}"
        ) from None


def shape(
    model: ModelSettings, photo_hw: tuple[int, int], n_classes: int, dropout: float = 0.0, seed: int = 0
) -> ClassifierConfig:
    """Return the configuration of `model` for photos of `photo_hw` pixels; `seed` is that of the dropout."""
    input_hw = shrunk(photo_hw, model.input_px) if model.input_px else photo_hw
    return ClassifierConfig(photo_hw, input_hw, n_classes, dropout, seed, model.pooling, model.embedding)


def shrunk(size_hw: tuple[int, int], longer: int) -> tuple[int, int]:
    """Return the height and the width whose longer side is `longer` pixels, in the proportions of `size_hw`."""
    height, width = (max(1, round(side * longer / max(size_hw))) for side in size_hw)
    return height, width


def network(
    model: ModelSettings, wanted: ClassifierConfig, tensors: Tensors | None, policy: str = "float32"
) -> ClassifierModels:
    """Build the network of `model` under a Keras dtype `policy`, with its pretrained tensors if any."""
    backbone = backbones.find(model.backbone)
    built = backbones.build(backbone, wanted, policy)
    if tensors is not None:
        backbone.load(built.pooled, tensors)
    return built
