"""Training of one model from its settings to its best state and the record of it."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stages.classifiers import pretrained, runtime
from stages.classifiers.backbones import ClassifierConfig, ClassifierModels
from stages.classifiers.engine import keras, tf
from stages.classifiers.runtime import Runtime
from stages.classifiers.settings import ModelSettings, TeachSettings
from stages.train import fit
from stages.train.checkpoint import Checkpoint, fingerprint
from stages.train.curves import Curves
from stages.train.settings import TrainSettings


class Member(NamedTuple):
    """One network to train: its photos, its settings, the folders of its curves and of its state."""

    splits: fit.Splits
    recipe: TrainSettings
    curves: Path
    logs: Path


class TrainingSetup(NamedTuple):
    """What all networks of a model share: its settings, its pretrained tensors by name, or None, the number of classes,
    the precision, a `fingerprint` of all that is trained from, and of a student how it is taught.
    """

    model: ModelSettings
    tensors: dict[str, np.ndarray] | None
    n_classes: int
    precision: str
    fingerprint: str
    teach: TeachSettings | None = None


class TrainingResult(NamedTuple):
    """A trained network in float32, all epochs, the epoch whose state it holds, and the state of its training."""

    model: keras.Model
    shape: ClassifierConfig
    history: list[fit.Epoch]
    best: fit.Epoch
    checkpoint: Checkpoint


def train(member: Member, setup: TrainingSetup, curves: Curves) -> TrainingResult:
    """Train one network and return it in float32, whatever the precision of the training.

    The checkpoint stays: of an ended training it holds the result.
    """
    model, splits, recipe = setup.model, member.splits, member.recipe
    shape = pretrained.shape(model, splits.train.size_hw, setup.n_classes, recipe.dropout, recipe.seed)
    policy = runtime.policy(setup.precision)
    # Random initial weights must not depend on what was trained before.
    keras.utils.set_random_seed(recipe.seed)

    def build(input_px: int | None) -> ClassifierModels:
        input_hw = pretrained.shrunk(shape.photo_hw, input_px) if input_px else shape.input_hw
        return pretrained.network(model, shape._replace(input_hw=input_hw), setup.tensors, policy)

    task = fit.TrainingTask(build, splits, recipe, from_scratch=setup.tensors is None, teach=setup.teach)
    checkpoint = Checkpoint(member.logs / "checkpoint.npz", fingerprint((setup.fingerprint, recipe), []))
    training = fit.Training(task, checkpoint, lambda epoch: _log(curves, training, epoch))
    best = training.run()
    plain = pretrained.network(model, shape, None).probabilities
    plain.set_weights(training.models.probabilities.get_weights())
    return TrainingResult(plain, shape, training.history, best, checkpoint)


def _log(curves: Curves, training: fit.Training, epoch: fit.Epoch) -> None:
    curves.log(*epoch)
    # A resumed training reports its earlier epochs again, but has the weights of the last one only.
    if epoch is training.history[-1]:
        weights = training.models.logits.weights
        curves.log_histograms(epoch.number, {weight.path: np.asarray(weight) for weight in weights})


def record(result: TrainingResult, recipe: TrainSettings, system: Runtime) -> dict[str, Any]:
    """Return the content of `model.json`; nothing in it changes from run to run."""
    return {
        "best_epoch": result.best.number,
        "metrics": result.best.metrics,
        "phases": [phase.model_dump() for phase in recipe.phases()],
        "seed": recipe.seed,
        "batch_size": recipe.batch_size,
        "photo_hw": result.shape.photo_hw,
        "input_hw": result.shape.input_hw,
        "n_parameters": result.model.count_params(),
        "device": system.device,
        "precision": system.precision,
        "threads": system.threads,
        "versions": {"keras": keras.__version__, "tensorflow": tf.__version__},
    }
