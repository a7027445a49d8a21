"""The training of one classifier: its head first, then the whole network, the best state on val kept."""

import itertools
import math
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from stages.learning import backbones, dataset, inference, probe, scores
from stages.learning.backbones import Network
from stages.learning.blend import normalised
from stages.learning.dataset import Source
from stages.learning.engine import keras, tf
from stages.learning.recipe import TrainParams


class Splits(NamedTuple):
    """The photos to learn from and those to watch, which may be none."""

    train: Source
    val: Source


class Epoch(NamedTuple):
    """Epoch 0 is the fitted head alone. `figures` are repeatable, `rates` (photos/s) are not."""

    number: int
    figures: dict[str, float]
    rates: dict[str, float]


def fit(network: Network, splits: Splits, params: TrainParams, observe: Callable[[Epoch], None]) -> Epoch:
    """Train `network` in place, tell `observe` of every epoch, and return the epoch whose state was kept.

    That is the one with the least log loss on val, or the last one where there is no val photo.
    """
    best, best_weights = Epoch(-1, {"val/log_loss": math.inf}, {}), network.logits.get_weights()
    for epoch in _epochs(network, splits, params):
        observe(epoch)
        if _badness(epoch) < _badness(best):
            best, best_weights = epoch, network.logits.get_weights()
        if params.patience is not None and splits.val.files and epoch.number - best.number >= params.patience:
            break
    network.logits.set_weights(best_weights)
    return best


def _badness(epoch: Epoch) -> float:
    return epoch.figures.get("val/log_loss", -epoch.number)


def _epochs(network: Network, splits: Splits, params: TrainParams) -> Iterator[Epoch]:
    fit_head(network, splits.train, params)
    yield Epoch(0, evaluate(network, splits.val, params), {})
    if not params.epochs:
        return
    n_steps = dataset.steps_per_epoch(len(splits.train.files), params.batch_size)
    network.logits.compile(optimizer(params, n_steps), smoothed_loss(params.label_smoothing))
    batches = iter(dataset.training(splits.train, params))
    for number in range(1, params.epochs + 1):
        start = time.perf_counter()
        loss = _train_epoch(network.logits, batches, n_steps, f"epoch {number}/{params.epochs}")
        rate = n_steps * params.batch_size / (time.perf_counter() - start)
        figures = {"train/loss": loss, **evaluate(network, splits.val, params)}
        yield Epoch(number, figures, {"photos_per_second": rate})


def _train_epoch(model: keras.Model, batches: Iterator[Any], n_steps: int, title: str) -> float:
    losses = []
    with tqdm(total=0, unit="photo", desc=title, mininterval=0.5) as bar:
        for photos, labels in itertools.islice(batches, n_steps):
            bar.total = n_steps * len(photos)
            model.reset_metrics()
            losses.append(float(model.train_on_batch(photos, labels)))
            bar.update(len(photos))
    if not math.isfinite(losses[-1]):
        raise FloatingPointError(f"{title}: the loss is {losses[-1]}; lower train.learning_rate")
    return float(np.mean(losses))


def fit_head(network: Network, source: Source, params: TrainParams) -> None:
    """Set the head to a logistic regression on the features of the unvaried photos."""
    batches = dataset.in_order(source, params.batch_size, params.threads)
    features = inference.apply(network.pooled, batches, len(source.files))
    n_classes = network.logits.output_shape[-1]
    head = probe.fit(features, source.labels, n_classes, params.probe_l2, params.label_smoothing)
    network.logits.get_layer(backbones.HEAD).set_weights(head)


def evaluate(network: Network, source: Source, params: TrainParams) -> dict[str, float]:
    """Return log loss and accuracy on val photos exactly as they are; nothing where there are none."""
    if not source.files:
        return {}
    batches = dataset.in_order(source, params.batch_size, params.threads)
    probabilities = normalised(inference.apply(network.probabilities, batches, len(source.files)))
    accuracy = float((probabilities.argmax(axis=1) == source.labels).mean())
    return {"val/log_loss": scores.log_loss(source.labels, probabilities), "val/accuracy": accuracy}


def optimizer(params: TrainParams, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101), linear warm-up, then a cosine down to zero.

    Offsets and the scales of normalisation are not decayed.
    """
    n_steps = params.epochs * steps_per_epoch
    n_warmup = min(round(params.warmup_epochs * steps_per_epoch), n_steps - 1)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0 if n_warmup else params.learning_rate,
        max(1, n_steps - n_warmup),
        warmup_target=params.learning_rate if n_warmup else None,
        warmup_steps=n_warmup,
    )
    chosen = keras.optimizers.AdamW(schedule, weight_decay=params.weight_decay)
    chosen.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return chosen


def smoothed_loss(label_smoothing: float) -> Callable[[Any, Any], Any]:
    """Return the cross-entropy of labels (B,) and logits (B, C), smoothed (Szegedy et al. 2016)."""

    def loss(labels: Any, logits: Any) -> Any:
        one_hot = tf.one_hot(tf.reshape(tf.cast(labels, tf.int32), [-1]), tf.shape(logits)[-1])
        return keras.losses.categorical_crossentropy(one_hot, logits, from_logits=True, label_smoothing=label_smoothing)

    return loss
