"""Photos of an archive as batches of one fixed shape: shuffled and varied for training, in order and untouched
else.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from stages.classifiers.dataset import ImageSource, image_loader, in_order
from stages.classifiers.engine import tf
from stages.train import augment
from stages.train.settings import TrainParams


def training_batches(source: ImageSource, params: TrainParams, n_classes: int, first_step: int = 0) -> tf.data.Dataset:
    """Yield the batches of all steps from `first_step` on: photos (B, H, W, 3) RGB uint8, targets (B, C) float32,
    which are shares of the classes.

    There are `steps_per_epoch` in each epoch of all phases, and what is in one depends on its number alone. Each
    pass over the photos is shuffled by (seed, pass), each photo varied by (seed, pass, its index), each batch mixed by
    (seed, step). A batch that the end of a pass cuts short is filled up from the next pass, so that all batches have
    the same shape.
    """
    n_photos, size = len(source.names), params.batch_size
    total = size * params.n_epochs() * steps_per_epoch(n_photos, size)
    load, labels, at = (
        image_loader(source, params.cache_mb),
        tf.constant(source.labels),
        augment_strength(source, params),
    )
    seed = tf.constant(params.seed, tf.int32)

    def sample(position: Any) -> tuple[Any, Any]:
        turn = tf.cast(position // n_photos, tf.int32)
        own = tf.stack([seed, turn])
        index = tf.random.experimental.index_shuffle(position % n_photos, own, n_photos - 1)
        own = tf.random.fold_in(own, tf.cast(index, tf.int32))
        varied = augment.augment(load(index), own, at(position), params.augment)
        return varied, tf.one_hot(labels[index], n_classes)

    def mixed(step: Any, batch: tuple[Any, Any]) -> tuple[Any, Any]:
        # Passes are numbered from nought on, so that no photo has the seed of a batch.
        own = tf.stack([seed, -1 - tf.cast(step, tf.int32)])
        return augment.mix(*batch, own, at(step * size), params.augment)

    data = tf.data.Dataset.range(first_step * size, total).map(sample, num_parallel_calls=params.threads)
    data = data.batch(size, drop_remainder=True)
    if params.augment.mixup or params.augment.cutmix:
        data = data.enumerate(first_step).map(mixed, num_parallel_calls=params.threads)
    return data.prefetch(2)


def augment_strength(source: ImageSource, params: TrainParams) -> Callable[[Any], Any]:
    """Return the strength of the augmentation, 0..1, as a function of the number of a photo in the whole training."""
    per_epoch = params.batch_size * steps_per_epoch(len(source.names), params.batch_size)
    total = params.n_epochs() * per_epoch
    of_epochs = tf.constant([phase.strength for phase in params.phases() for _ in range(phase.epochs)])
    return lambda position: augment.strength(position / total, params.augment) * of_epochs[position // per_epoch]


def steps_per_epoch(n_photos: int, batch_size: int) -> int:
    """Return the number of full batches that come nearest to one pass over the photos, at least one."""
    return max(1, round(n_photos / batch_size))


def full_batches(source: ImageSource, params: TrainParams) -> Iterator[np.ndarray]:
    """Yield all photos as they are, as `in_order` does, but as many batches as an epoch has, none of them filled up
    with black: at the end some photos are left out, or the first ones come again.
    """
    n_photos = params.batch_size * steps_per_epoch(len(source.names), params.batch_size)
    return in_order(source, params.batch_size, params.threads, n_photos)
