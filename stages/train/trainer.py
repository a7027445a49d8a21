"""Training of one model from its settings to its best state and the record of it."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stages.classifiers import dataset, pretrained, runtime
from stages.classifiers.backbones import ClassifierConfig, ClassifierModels
from stages.classifiers.dataset import ImageSource
from stages.classifiers.engine import keras, tf
from stages.classifiers.runtime import Runtime
from stages.classifiers.settings import ModelSettings
from stages.core.archive import Archive
from stages.core.tables import TableError
from stages.schemas import split_data
from stages.train import fit
from stages.train.checkpoint import Checkpoint
from stages.train.curves import Curves
from stages.train.settings import TrainSettings


class TrainingResult(NamedTuple):
    """A trained network in float32, and the epoch whose state it holds."""

    model: keras.Model
    shape: ClassifierConfig
    best: fit.Epoch


class TrainingSetup(NamedTuple):
    """Pretrained tensors by name, or None; the number of classes; precision; where checkpoints go."""

    tensors: dict[str, np.ndarray] | None
    n_classes: int
    precision: str
    checkpoint: Checkpoint


def train(
    model: ModelSettings, recipe: TrainSettings, splits: fit.Splits, setting: TrainingSetup, curves: Curves
) -> TrainingResult:
    """Train `model` and return it in float32, whatever the precision of the training."""
    shape = pretrained.shape(model, splits.train.size_hw, setting.n_classes, recipe.dropout, recipe.seed)
    policy = runtime.policy(setting.precision)

    def build(input_px: int | None) -> ClassifierModels:
        input_hw = pretrained.shrunk(shape.photo_hw, input_px) if input_px else shape.input_hw
        return pretrained.network(model, shape._replace(input_hw=input_hw), setting.tensors, policy)

    task = fit.TrainingTask(build, splits, recipe, from_scratch=setting.tensors is None)

    def on_epoch_end(epoch: fit.Epoch) -> None:
        curves.log(*epoch)
        # A resumed training reports its earlier epochs again, but has the weights of the last one only.
        if epoch is training.history[-1]:
            weights = training.models.logits.weights
            curves.log_histograms(epoch.number, {weight.path: np.asarray(weight) for weight in weights})

    training = fit.Training(task, setting.checkpoint, on_epoch_end)
    best = training.run()
    plain = pretrained.network(model, shape, None).probabilities
    plain.set_weights(training.models.probabilities.get_weights())
    return TrainingResult(plain, shape, best)


def record(result: TrainingResult, recipe: TrainSettings, system: Runtime) -> dict[str, Any]:
    """Return the content of `model.json`; nothing in it changes from run to run."""
    return {
        "best_epoch": result.best.number,
        "metrics": result.best.metrics,
        "phases": [phase.model_dump() for phase in recipe.phases()],
        "seed": recipe.seed,
        "photo_hw": result.shape.photo_hw,
        "input_hw": result.shape.input_hw,
        "n_parameters": result.model.count_params(),
        "device": system.device,
        "precision": system.precision,
        "threads": system.threads,
        "versions": {"keras": keras.__version__, "tensorflow": tf.__version__},
    }


def read_splits(table: Path, archive: Path, classes: list[str]) -> fit.Splits:
    """Read the train and val photos. Raises TableError if there is none to train on."""
    splits = split_data.read(table, classes)
    if not splits["train"].image_ids:
        raise TableError(f"{table}: expected photos with the split `train`, found none")
    images = Archive(archive)
    size_hw = dataset.image_size_hw(images, splits["train"])
    return fit.Splits(*(ImageSource.of(images, splits[name], size_hw) for name in ("train", "val")))
