"""Fine-tuning of one classifier: fit the head, train phase by phase, keep the weights of the best epoch.

A step depends on its number and on the saved state alone, so a resumed training ends with the same weights, bit for
bit.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from stages.classifiers import backbones, dataset, folding, inference, linear_head, runtime
from stages.classifiers.backbones import ClassifierModels
from stages.classifiers.engine import keras
from stages.classifiers.image_source import ImageSource
from stages.classifiers.settings import TeachSettings
from stages.scoring.probabilities import log_loss, normalised
from stages.train import batch_norm, schedule, training_data
from stages.train.checkpoint import Checkpoint
from stages.train.loss import distillation_loss, training_loss
from stages.train.schedule import ScheduledPhase
from stages.train.settings import TrainSettings
from stages.train.train_step import averaged_weights, compiled_train_step

# Batches of the training may be of 4 photos, which are slower to predict.
_INFERENCE_BATCH = 16


class Splits(NamedTuple):
    """The training and the validation images. There may be no validation images."""

    train: ImageSource
    val: ImageSource


class Epoch(NamedTuple):
    """The results of one epoch; epoch 0 is the fitted head. `metrics` are reproducible, `rates` (photos/s) are not."""

    number: int
    metrics: dict[str, float]
    rates: dict[str, float]


class TrainingTask(NamedTuple):
    """What to train, on which images, with which settings.

    `build` returns the models with their initial weights. Its argument is the longer side of the network's input in
    pixels, None for the side that inference uses; the weights fit every side. No layer is frozen `from_scratch`, that
    is where the initial weights are random. With `teach`, the training images have soft targets.
    """

    build: Callable[[int | None], ClassifierModels]
    splits: Splits
    settings: TrainSettings
    from_scratch: bool = False
    teach: TeachSettings | None = None

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches in an epoch."""
        return training_data.steps_per_epoch(len(self.splits.train.names), self.settings.batch_size)


class Training:
    """The training loop and its state. `models` hold the weights after the last epoch, at the side of inference."""

    def __init__(self, task: TrainingTask, checkpoint: Checkpoint, on_epoch_end: Callable[[Epoch], None]) -> None:
        self.task, self.checkpoint, self.on_epoch_end = task, checkpoint, on_epoch_end
        self.settings = task.settings
        self.strategy = runtime.strategy(self.settings.batch_size)
        self.models = task.build(None)
        self.classifier = folding.for_inference(self.models.probabilities)
        self.forward = batch_norm.compiled_forward(self.models.pooled)
        self.step = 0
        self.losses: list[float] = []
        self.history: list[Epoch] = []
        self.best_weights: list[np.ndarray] = []
        self._phase_state: dict[str, list[np.ndarray]] = {}

    @property
    def best_epoch(self) -> Epoch:
        """The epoch with the lowest log loss on val, the last one without validation images."""
        return _best(self.history)

    def run(self) -> Epoch:
        """Train to the end, load the weights of the best epoch and return that epoch.

        `on_epoch_end` gets every epoch from 0 on, after a resume also those before it.
        """
        if not self._resume():
            fit_head(self.models, self.task.splits.train, self.settings)
            self._end_epoch({})
        for phase in schedule.scheduled_phases(self.settings, self.task.steps_per_epoch):
            if self.step < phase.end_step and not self._is_out_of_patience():
                self._run_phase(phase)
        self.models.logits.set_weights(self.best_weights)
        return self.best_epoch

    def _run_phase(self, phase: ScheduledPhase) -> None:
        model, forward = self._phase_model(phase)
        train_step, batches = compiled_train_step(model, forward, self.strategy), self._batches()
        first_step, started = self.step, time.perf_counter()
        saved = started
        with self._progress_bar() as bar:
            while self.step < phase.end_step and not self._is_out_of_patience():
                self.losses.append(train_step(*next(batches)))
                self.step += 1
                bar.update(self.settings.batch_size)
                now = time.perf_counter()
                if self.step % self.task.steps_per_epoch == 0:
                    n_photos = (self.step - first_step) * self.settings.batch_size
                    self._update_models(model)
                    self._end_epoch({"photos_per_second": n_photos / (now - started)}, model)
                    bar.set_postfix_str(format_epoch(self.history[-1]))
                    first_step, started = self.step, time.perf_counter()
                    saved = started
                elif now - saved > 60 * self.settings.checkpoint_minutes:
                    self._save(model)
                    saved = time.perf_counter()

    def _phase_model(self, phase: ScheduledPhase) -> tuple[keras.Model, keras.Model]:
        """Build and compile the model of a phase, in the state of its last step if it was interrupted.

        Returns it, and the model that its steps compute, of the same variables.
        """
        with self.strategy.scope():
            model, forward = self._compiled_model(phase)
        state, self._phase_state = self._phase_state, {}
        if state and phase.first_step < self.step:
            _assign(model.variables, state["model"])
            _assign(model.optimizer.variables, state["optimizer"])
        return model, forward

    def _compiled_model(self, phase: ScheduledPhase) -> tuple[keras.Model, keras.Model]:
        models = self.task.build(phase.settings.input_px)
        model = models.logits
        model.set_weights(self.models.logits.get_weights())
        share = phase.settings.frozen_share
        if not self.task.from_scratch:
            share = self.settings.frozen_share if share is None else share
            backbones.freeze(models.pooled, share, self.settings.batch_norm)
        forward = folding.for_training(model)
        loss = training_loss(self.settings, self.task.splits.train.labels, model.output_shape[-1])
        if self.task.teach is not None:
            loss = distillation_loss(loss, self.task.teach)
        model.compile(schedule.optimizer(self.settings, phase, self.task.steps_per_epoch), loss)
        model.optimizer.build(model.trainable_variables)
        return model, forward

    def _batches(self) -> Iterator[Any]:
        n_classes = self.models.logits.output_shape[-1]
        batches = training_data.training_batches(self.task.splits.train, self.settings, n_classes, self.step)
        return iter(self.strategy.experimental_distribute_dataset(batches))

    def _update_models(self, model: keras.Model) -> None:
        """Copy the weights of the trained `model`, averaged if the settings say so, into the models of inference."""
        weights = averaged_weights(model) if self.settings.ema else model.get_weights()
        self.models.logits.set_weights(weights)
        if self.task.from_scratch or self.settings.batch_norm == "trained":
            self._recalibrate_batch_norm()

    def _recalibrate_batch_norm(self) -> None:
        batches = training_data.full_batches(self.task.splits.train, self.settings)
        batch_norm.recalibrate(self.models.pooled, self.forward, batches)

    def _end_epoch(self, rates: dict[str, float], model: keras.Model | None = None) -> None:
        metrics = self._train_metrics() | evaluate(self.classifier, self.task.splits.val)
        self.history.append(Epoch(len(self.history), metrics, rates))
        if self.best_epoch is self.history[-1]:
            self.best_weights = self.models.logits.get_weights()
        self.losses = []
        self.on_epoch_end(self.history[-1])
        self._save(model)

    def _train_metrics(self) -> dict[str, float]:
        """Return the mean loss of the epoch and the strength of the augmentation at its end; nothing for epoch 0."""
        if not self.losses:
            return {}
        strength = training_data.augment_strength(self.task.splits.train, self.settings)
        last_position = self.step * self.settings.batch_size - 1
        return {"train/loss": float(np.mean(self.losses)), "train/strength": float(strength(last_position))}

    def _is_out_of_patience(self) -> bool:
        """Whether early stopping is due. The fitted head does not count, since training first raises its loss."""
        patience, trained = self.settings.patience, self.history[1:]
        if patience is None or not self.task.splits.val.names or not trained:
            return False
        return trained[-1].number - _best(trained).number >= patience

    def _progress_bar(self) -> Any:
        size, n_steps = self.settings.batch_size, self.settings.n_epochs() * self.task.steps_per_epoch
        return tqdm(total=n_steps * size, initial=self.step * size, unit="photo", desc="train", mininterval=0.5)

    def _save(self, model: keras.Model | None) -> None:
        """Save the state; `model` is that of the phase, None before the first phase."""
        arrays = {"weights": self.models.logits.get_weights(), "best": self.best_weights}
        if model is not None:
            arrays["model"] = list(map(np.asarray, model.variables))
            arrays["optimizer"] = list(map(np.asarray, model.optimizer.variables))
        self.checkpoint.save(arrays, {"step": self.step, "losses": self.losses, "history": self.history})

    def _resume(self) -> bool:
        """Load the checkpoint; return whether there is one of this training."""
        state = self.checkpoint.load()
        if state is None:
            return False
        arrays, metadata = state
        self.step, self.losses = metadata["step"], metadata["losses"]
        self.history = [Epoch(*epoch) for epoch in metadata["history"]]
        self.models.logits.set_weights(arrays.pop("weights"))
        self.best_weights, self._phase_state = arrays.pop("best"), arrays
        for epoch in self.history:
            self.on_epoch_end(epoch)
        return True


def _best(epochs: list[Epoch]) -> Epoch:
    return min(epochs, key=lambda epoch: epoch.metrics.get("val/log_loss", -epoch.number))


def format_epoch(epoch: Epoch) -> str:
    """Format the number and the metrics of an epoch for the progress bar."""
    return ", ".join([f"epoch {epoch.number}", *(f"{name} {value:.3f}" for name, value in epoch.metrics.items())])


def _assign(variables: list[Any], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def fit_head(models: ClassifierModels, source: ImageSource, settings: TrainSettings) -> None:
    """Fit the head as a logistic regression on the features of the images, which are not augmented."""
    batches = dataset.in_order(source, _INFERENCE_BATCH)
    features = inference.apply(folding.for_inference(models.pooled), batches, len(source.names))
    n_classes = models.logits.output_shape[-1]
    head = linear_head.fit_linear_head(features, source.labels, n_classes, settings.head_l2, settings.label_smoothing)
    models.logits.get_layer(backbones.HEAD).set_weights(head)


def evaluate(classifier: keras.Model, source: ImageSource) -> dict[str, float]:
    """Return log loss and accuracy on validation images, which are not augmented; nothing without images."""
    if not source.names:
        return {}
    batches = dataset.in_order(source, _INFERENCE_BATCH)
    probabilities = normalised(inference.apply(classifier, batches, len(source.names)))
    accuracy = float((probabilities.argmax(axis=1) == source.labels).mean())
    return {"val/log_loss": log_loss(source.labels, probabilities), "val/accuracy": accuracy}
