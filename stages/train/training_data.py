"""The input pipeline of training: shuffled, augmented batches of one fixed shape."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from stages.classifiers.dataset import image_loader, in_order, mapped
from stages.classifiers.engine import tf
from stages.classifiers.image_source import ImageSource
from stages.train import augment
from stages.train.settings import TrainSettings


def training_batches(
    source: ImageSource, settings: TrainSettings, n_classes: int, first_step: int = 0
) -> tf.data.Dataset:
    """Yield the batches of all steps from `first_step` on, `steps_per_epoch` for each epoch of all phases.

    A batch is images (B, H, W, 3) RGB uint8 and targets (B, C) float32 that sum to 1; soft targets follow those of the
    labels, (B, 2 C). It depends on the number of its
    step alone: each pass over the images is shuffled by (seed, pass), each image augmented by (seed, pass, index), each
    batch mixed by (seed, step). A batch at the end of a pass is completed from the next pass, so all have one shape.
    """
    n_images, size = len(source.names), settings.batch_size
    total = size * settings.n_epochs() * steps_per_epoch(n_images, size)
    load, targets = image_loader(source, settings.cache_mb), target_lookup(source, n_classes)
    strength = augment_strength(source, settings)
    seed = tf.constant(settings.seed, tf.int32)

    def sample(position: Any) -> tuple[Any, Any]:
        pass_number = tf.cast(position // n_images, tf.int32)
        pass_seed = tf.stack([seed, pass_number])
        index = tf.random.experimental.index_shuffle(position % n_images, pass_seed, n_images - 1)
        image_seed = tf.random.fold_in(pass_seed, tf.cast(index, tf.int32))
        augmented = augment.augment(load(index), image_seed, strength(position), settings.augment)
        return augmented, targets(index)

    def mix(step: Any, batch: tuple[Any, Any]) -> tuple[Any, Any]:
        # Negative, since passes count from 0: no batch shares the seed of a pass.
        batch_seed = tf.stack([seed, -1 - tf.cast(step, tf.int32)])
        return augment.mix(*batch, batch_seed, strength(step * size), settings.augment)

    data = mapped(tf.data.Dataset.range(first_step * size, total), sample).batch(size, drop_remainder=True)
    if settings.augment.mixup or settings.augment.cutmix:
        data = mapped(data.enumerate(first_step), mix)
    return data.prefetch(2)


def target_lookup(source: ImageSource, n_classes: int) -> Callable[[Any], Any]:
    """Return a function from an index to the target (C,) float32 of its image, (2 C,) with the soft one after it."""
    labels = tf.constant(source.labels)
    if source.soft_targets is None:
        return lambda index: tf.one_hot(labels[index], n_classes)
    soft_targets = tf.constant(source.soft_targets, tf.float32)
    return lambda index: tf.concat([tf.one_hot(labels[index], n_classes), soft_targets[index]], axis=0)


def augment_strength(source: ImageSource, settings: TrainSettings) -> Callable[[Any], Any]:
    """Return the strength of the augmentation, 0..1, as a function of the position of an image in the training.

    Position p is image p % batch_size of step p // batch_size.
    """
    per_epoch = settings.batch_size * steps_per_epoch(len(source.names), settings.batch_size)
    total = settings.n_epochs() * per_epoch
    epoch_strengths = tf.constant([phase.strength for phase in settings.phases() for _ in range(phase.epochs)])
    return lambda position: (
        augment.strength(position / total, settings.augment) * epoch_strengths[position // per_epoch]
    )


def steps_per_epoch(n_images: int, batch_size: int) -> int:
    """Return the number of full batches that is nearest to one pass over the images, at least one."""
    return max(1, round(n_images / batch_size))


def full_batches(source: ImageSource, settings: TrainSettings) -> Iterator[np.ndarray]:
    """Yield the batches of one epoch without augmentation, in order, (B, H, W, 3) RGB uint8, none padded.

    The last batch ends with the first images again, or leaves the last images out.
    """
    n_images = settings.batch_size * steps_per_epoch(len(source.names), settings.batch_size)
    return in_order(source, settings.batch_size, n_images)
