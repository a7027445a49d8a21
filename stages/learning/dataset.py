"""Photos on disk as batches of one fixed shape: shuffled and varied for training, in order and untouched
else.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from stages.learning import augment
from stages.learning.engine import tf
from stages.learning.recipe import TrainParams


class PhotoError(ValueError):
    """A photo cannot be decoded, or has another size than the others."""


class Source(NamedTuple):
    """Image `files` N, their `labels` (N,) int64, and the height and width that each photo must have, in pixels."""

    files: list[str]
    labels: np.ndarray
    size_hw: tuple[int, int]


def training(source: Source, params: TrainParams, n_classes: int, first_step: int = 0) -> tf.data.Dataset:
    """Yield the batches of all steps from `first_step` on: photos (B, H, W, 3) RGB uint8, targets (B, C) float32,
    which are shares of the classes.

    There are `steps_per_epoch` in each epoch of all phases, and what is in one depends on its number alone. Each
    pass over the photos is shuffled by (seed, pass), each photo varied by (seed, pass, its index), each batch mixed by
    (seed, step). A batch that the end of a pass cuts short is filled up from the next pass, so that all batches have
    the same shape.
    """
    n_photos, size = len(source.files), params.batch_size
    total = size * params.n_epochs() * steps_per_epoch(n_photos, size)
    load, labels, at = _loader(source, params.cache_mb), tf.constant(source.labels), strength(source, params)
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


def strength(source: Source, params: TrainParams) -> Callable[[Any], Any]:
    """Return the strength of the augmentation, 0..1, as a function of the number of a photo in the whole training."""
    per_epoch = params.batch_size * steps_per_epoch(len(source.files), params.batch_size)
    total = params.n_epochs() * per_epoch
    of_epochs = tf.constant([phase.strength for phase in params.phases() for _ in range(phase.epochs)])
    return lambda position: augment.strength(position / total, params.augment) * of_epochs[position // per_epoch]


def steps_per_epoch(n_photos: int, batch_size: int) -> int:
    """Return the number of full batches that come nearest to one pass over the photos, at least one."""
    return max(1, round(n_photos / batch_size))


def full_batches(source: Source, params: TrainParams) -> Iterator[np.ndarray]:
    """Yield all photos as they are, as `in_order` does, but as many batches as an epoch has, none of them filled up
    with black: at the end some photos are left out, or the first ones come again.
    """
    n_photos = params.batch_size * steps_per_epoch(len(source.files), params.batch_size)
    chosen = Source(np.resize(source.files, n_photos).tolist(), np.resize(source.labels, n_photos), source.size_hw)
    return in_order(chosen, params.batch_size, params.threads)


def in_order(source: Source, batch_size: int, threads: int) -> Iterator[np.ndarray]:
    """Yield the photos as they are, RGB uint8 (B, H, W, 3), in order; the last batch is filled with black.

    Raises PhotoError naming the first photo that cannot be decoded or has another size.
    """
    if not source.files:
        return
    data = tf.data.Dataset.from_tensor_slices(source.files)
    data = data.map(_decoder(source.size_hw), num_parallel_calls=threads).batch(batch_size).prefetch(1)
    try:
        for batch in data.as_numpy_iterator():
            yield np.pad(batch, ((0, batch_size - len(batch)), (0, 0), (0, 0), (0, 0)))
    except tf.errors.InvalidArgumentError:
        _raise_first_unreadable(source)
        raise


def _raise_first_unreadable(source: Source) -> None:
    """Raise PhotoError for the first bad photo: an error inside a pipeline does not say whose it is."""
    for file in source.files:
        try:
            _decoder(source.size_hw)(file)
        except (tf.errors.InvalidArgumentError, ValueError):
            height, width = source.size_hw
            raise PhotoError(f"{file}: expected a readable {width}x{height} photo, found another") from None


def _loader(source: Source, cache_mb: int) -> Callable[[Any], Any]:
    """Return a function of an index: from memory where all photos fit into `cache_mb`, else from disk."""
    decode = _decoder(source.size_hw)
    if len(source.files) * math.prod(source.size_hw) * 3 > cache_mb * 1e6:
        files = tf.constant(source.files)
        return lambda index: decode(files[index])
    data = tf.data.Dataset.from_tensor_slices(source.files).map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    photos = data.batch(len(source.files)).get_single_element()
    return lambda index: photos[index]


def _decoder(size_hw: tuple[int, int]) -> Callable[[Any], Any]:
    def decode(file: Any) -> Any:
        photo = tf.io.decode_image(tf.io.read_file(file), 3, expand_animations=False)
        return tf.ensure_shape(photo, (*size_hw, 3))

    return decode
