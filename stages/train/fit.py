"""The training of one classifier: its head first, then phase by phase, the best state on val kept.

What a step does depends on its number alone, so a training that is broken off goes on from its last checkpoint to the
same end.
"""

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from stages.classifiers import backbones, dataset, inference, linear_head, runtime
from stages.classifiers.backbones import ClassifierModels
from stages.classifiers.dataset import ImageSource
from stages.classifiers.engine import keras, tf
from stages.scoring.probabilities import log_loss, normalised
from stages.train import batch_norm, schedule, training_data
from stages.train.checkpoint import Checkpoint
from stages.train.schedule import ScheduledPhase
from stages.train.settings import TrainParams


class Splits(NamedTuple):
    """The photos to learn from and those to watch, which may be none."""

    train: ImageSource
    val: ImageSource


class Epoch(NamedTuple):
    """Epoch 0 is the fitted head alone. `figures` are repeatable, `rates` (photos/s) are not."""

    number: int
    figures: dict[str, float]
    rates: dict[str, float]


class TrainingTask(NamedTuple):
    """What is trained on what, and how.

    `build` makes the network that sees photos at a side, None for the side at which it will be used in the end; every
    one of the same weights. `is_fresh` networks begin with random weights, so none of their layers is frozen.
    """

    build: Callable[[int | None], ClassifierModels]
    splits: Splits
    params: TrainParams
    is_fresh: bool = False

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches of each epoch."""
        return training_data.steps_per_epoch(len(self.splits.train.names), self.params.batch_size)


class Training:
    """A training under way; `network` holds what it has learned so far, at its final side."""

    def __init__(self, task: TrainingTask, checkpoint: Checkpoint, observe: Callable[[Epoch], None]) -> None:
        self.task, self.checkpoint, self.observe = task, checkpoint, observe
        self.strategy = runtime.strategy(task.params.batch_size)
        self.network = task.build(None)
        self.show = batch_norm.forward(self.network.pooled)
        self.step, self.losses, self.seconds = 0, list[float](), 0.0
        self.history: list[Epoch] = []
        self.best_weights: list[np.ndarray] = []
        self.running: dict[str, list[np.ndarray]] = {}

    @property
    def best(self) -> Epoch:
        """The epoch with the least log loss on val, the last one where there is no val photo."""
        return _best(self.history)

    def run(self) -> Epoch:
        """Train to the end, tell `observe` of every epoch from the first on; return the one whose state is kept."""
        if not self._resumed():
            fit_head(self.network, self.task.splits.train, self.task.params)
            self._close_epoch({})
        for stretch in schedule.scheduled_phases(self.task.params, self.task.steps_per_epoch):
            if self.step < stretch.end_step and not self._is_out_of_patience():
                self._run_stretch(stretch)
        self.network.logits.set_weights(self.best_weights)
        return self.best

    def _run_stretch(self, stretch: ScheduledPhase) -> None:
        model = self._prepared(stretch)
        n_classes = model.output_shape[-1]
        photos = training_data.training_batches(self.task.splits.train, self.task.params, n_classes, self.step)
        batches = iter(self.strategy.experimental_distribute_dataset(photos))
        started = saved = time.perf_counter()
        with self._bar() as bar:
            while self.step < stretch.end_step and not self._is_out_of_patience():
                self.losses.append(_train_step(model, *next(batches)))
                self.step += 1
                bar.update(self.task.params.batch_size)
                now = time.perf_counter()
                if self.step % self.task.steps_per_epoch == 0:
                    self.seconds += now - started
                    self.network.logits.set_weights(_averaged(model, self.task.params))
                    self._settle_statistics()
                    self._close_epoch(self._rates(), model)
                    bar.set_postfix_str(format_epoch(self.history[-1]))
                    started = saved = time.perf_counter()
                elif now - saved > 60 * self.task.params.checkpoint_minutes:
                    self._save(model)
                    saved = time.perf_counter()

    def _prepared(self, stretch: ScheduledPhase) -> keras.Model:
        """The network of a phase, compiled, in the state in which the training has come to it."""
        with self.strategy.scope():
            network = self._compiled(stretch)
        if self.running and stretch.first_step < self.step:
            _assign(network.logits.variables, self.running["model"])
            _assign(network.logits.optimizer.variables, self.running["optimizer"])
        return network.logits

    def _compiled(self, stretch: ScheduledPhase) -> ClassifierModels:
        params, phase = self.task.params, stretch.phase
        network = self.task.build(phase.input_px)
        network.logits.set_weights(self.network.logits.get_weights())
        share = params.frozen_share if phase.frozen_share is None else phase.frozen_share
        if not self.task.is_fresh:
            backbones.freeze(network.pooled, share, params.batch_norm)
        rule = schedule.optimizer(params, stretch, self.task.steps_per_epoch)
        network.logits.compile(rule, weighted_loss(params, self.task.splits.train.labels, network.logits))
        network.logits.optimizer.build(network.logits.trainable_variables)
        return network

    def _settle_statistics(self) -> None:
        if self.task.is_fresh or self.task.params.batch_norm == "trained":
            batches = training_data.full_batches(self.task.splits.train, self.task.params)
            batch_norm.recalibrate(self.network.pooled, self.show, batches)

    def _close_epoch(self, rates: dict[str, float], model: keras.Model | None = None) -> None:
        figures = self._of_training() | evaluate(self.network, self.task.splits.val, self.task.params)
        self.history.append(Epoch(len(self.history), figures, rates))
        if self.best is self.history[-1]:
            self.best_weights = self.network.logits.get_weights()
        self.losses, self.seconds = [], 0.0
        self.observe(self.history[-1])
        self._save(model)

    def _of_training(self) -> dict[str, float]:
        """The mean loss of the epoch's batches, and how strongly the last of them was varied; nothing before any."""
        if not self.losses:
            return {}
        source, params = self.task.splits.train, self.task.params
        strength = float(training_data.augment_strength(source, params)(self.step * params.batch_size - 1))
        return {"train/loss": float(np.mean(self.losses)), "train/strength": strength}

    def _is_out_of_patience(self) -> bool:
        """Whether no epoch of late was the best. The fitted head does not count: training first makes it worse."""
        patience, trained = self.task.params.patience, self.history[1:]
        if patience is None or not self.task.splits.val.names or not trained:
            return False
        return trained[-1].number - _best(trained).number >= patience

    def _rates(self) -> dict[str, float]:
        return {"photos_per_second": self.task.steps_per_epoch * self.task.params.batch_size / self.seconds}

    def _bar(self) -> Any:
        size, n_steps = self.task.params.batch_size, self.task.params.n_epochs() * self.task.steps_per_epoch
        return tqdm(total=n_steps * size, initial=self.step * size, unit="photo", desc="train", mininterval=0.5)

    def _save(self, model: keras.Model | None) -> None:
        running = {} if model is None else {"model": model.variables, "optimizer": model.optimizer.variables}
        arrays = {name: [np.asarray(variable) for variable in found] for name, found in running.items()}
        arrays |= {"weights": self.network.logits.get_weights(), "best": self.best_weights}
        self.checkpoint.save(arrays, {"step": self.step, "losses": self.losses, "history": self.history})

    def _resumed(self) -> bool:
        found = self.checkpoint.load()
        if found is None:
            return False
        arrays, facts = found
        self.step, self.losses = facts["step"], facts["losses"]
        self.history = [Epoch(*epoch) for epoch in facts["history"]]
        self.network.logits.set_weights(arrays.pop("weights"))
        self.best_weights, self.running = arrays.pop("best"), arrays
        for epoch in self.history:
            self.observe(epoch)
        return True


def _best(epochs: list[Epoch]) -> Epoch:
    return min(epochs, key=lambda epoch: epoch.figures.get("val/log_loss", -epoch.number))


def format_epoch(epoch: Epoch) -> str:
    return ", ".join([f"epoch {epoch.number}", *(f"{name} {value:.3f}" for name, value in epoch.figures.items())])


def _assign(variables: list[Any], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _averaged(model: keras.Model, params: TrainParams) -> list[np.ndarray]:
    """The weights of `model`, averaged over its last steps if `params` say so (Polyak & Juditsky 1992)."""
    if not params.ema:
        return model.get_weights()
    swap = keras.callbacks.SwapEMAWeights()
    swap.set_model(model)
    swap.on_test_begin()
    weights = model.get_weights()
    swap.on_test_end()
    return weights


def _train_step(model: keras.Model, photos: Any, targets: Any) -> float:
    model.reset_metrics()
    # As `train_on_batch` does, which itself does not take a batch that is shared out over devices.
    model.make_train_function()
    loss = float(model.train_function(iter([(photos, targets, None)]))["loss"])
    if not math.isfinite(loss):
        raise FloatingPointError(f"the loss is {loss}; lower train.learning_rate")
    return loss


def fit_head(network: ClassifierModels, source: ImageSource, params: TrainParams) -> None:
    """Set the head to a logistic regression on the features of the unvaried photos."""
    batches = dataset.in_order(source, params.batch_size, params.threads)
    features = inference.apply(network.pooled, batches, len(source.names))
    n_classes = network.logits.output_shape[-1]
    head = linear_head.fit_linear_head(features, source.labels, n_classes, params.probe_l2, params.label_smoothing)
    network.logits.get_layer(backbones.HEAD).set_weights(head)


def evaluate(network: ClassifierModels, source: ImageSource, params: TrainParams) -> dict[str, float]:
    """Return log loss and accuracy on val photos exactly as they are; nothing where there are none."""
    if not source.names:
        return {}
    batches = dataset.in_order(source, params.batch_size, params.threads)
    probabilities = normalised(inference.apply(network.probabilities, batches, len(source.names)))
    accuracy = float((probabilities.argmax(axis=1) == source.labels).mean())
    return {"val/log_loss": log_loss(source.labels, probabilities), "val/accuracy": accuracy}


def weighted_loss(params: TrainParams, labels: np.ndarray, model: keras.Model) -> Callable[[Any, Any], Any]:
    """Return the loss of `model` on photos of whose kind `labels` (N,) are, classes weighted as `params` say."""
    n_classes = model.output_shape[-1]
    weights = balanced(labels, n_classes) if params.class_weights == "balanced" else np.ones(n_classes)
    return smoothed_loss(params.label_smoothing, weights)


def balanced(labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Return weights (C,) inverse to how often each class comes in `labels` (N,), one on average over the photos.

    A class without a photo gets weight 0.
    """
    counts = np.bincount(labels, minlength=n_classes)
    present = (counts > 0).sum()
    return np.divide(len(labels), present * counts, out=np.zeros(n_classes), where=counts > 0)


def smoothed_loss(label_smoothing: float, class_weights: np.ndarray) -> Callable[[Any, Any], Any]:
    """Return the cross-entropy of targets (B, C) and logits (B, C), smoothed (Szegedy et al. 2016, arXiv:1512.00567,
    section 7), times the mean weight (C,) of the classes that a target has a share of.
    """
    weights = tf.constant(class_weights, tf.float32)

    def loss(targets: Any, logits: Any) -> Any:
        entropy = keras.losses.categorical_crossentropy(
            targets, logits, from_logits=True, label_smoothing=label_smoothing
        )
        return entropy * tf.linalg.matvec(targets, weights)

    return loss
