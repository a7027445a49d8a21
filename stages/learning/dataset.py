"""Photos of an archive as batches of one fixed shape: shuffled and varied for training, in order and untouched
else.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from stages.learning import augment
from stages.learning.engine import tf
from stages.learning.photos import Photos
from stages.learning.recipe import TrainParams
from stages.records.archive import Archive


class PhotoError(ValueError):
    """A photo is not there, cannot be decoded, or has another size than the others."""


class Source(NamedTuple):
    """N photos: their `names`, by which `read` gives the bytes of each as PNG or JPEG, their `labels` (N,) int64, and
    the height and the width that each must have, in pixels.
    """

    read: Callable[[str], bytes]
    names: list[str]
    labels: np.ndarray
    size_hw: tuple[int, int]

    @classmethod
    def of(cls, pictures: Archive, photos: Photos, size_hw: tuple[int, int]) -> "Source":
        """The source of photos in an archive. Raises PhotoError naming the first that is not in it."""
        for name in photos.names:
            if name not in pictures:
                raise PhotoError(f"{pictures.path}: expected a photo {name}, found none; run `dvc repro resize`")
        return cls(pictures.read, photos.names, photos.labels, size_hw)


def training(source: Source, params: TrainParams, n_classes: int, first_step: int = 0) -> tf.data.Dataset:
    """Yield the batches of all steps from `first_step` on: photos (B, H, W, 3) RGB uint8, targets (B, C) float32,
    which are shares of the classes.

    There are `steps_per_epoch` in each epoch of all phases, and what is in one depends on its number alone. Each
    pass over the photos is shuffled by (seed, pass), each photo varied by (seed, pass, its index), each batch mixed by
    (seed, step). A batch that the end of a pass cuts short is filled up from the next pass, so that all batches have
    the same shape.
    """
    n_photos, size = len(source.names), params.batch_size
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
    per_epoch = params.batch_size * steps_per_epoch(len(source.names), params.batch_size)
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
    n_photos = params.batch_size * steps_per_epoch(len(source.names), params.batch_size)
    return in_order(source, params.batch_size, params.threads, n_photos)


def in_order(source: Source, batch_size: int, threads: int, count: int | None = None) -> Iterator[np.ndarray]:
    """Yield the photos as they are, RGB uint8 (B, H, W, 3), in order; the last batch is filled with black. If there is
    a `count`, so many: fewer than there are, or the first ones again.

    Raises PhotoError naming the first photo that cannot be decoded or has another size, ArchiveError a damaged one.
    """
    if not source.names:
        return
    decode, n_photos = _decoder(source), len(source.names)
    data = tf.data.Dataset.range(n_photos if count is None else count)
    data = data.map(lambda place: decode(place % n_photos), num_parallel_calls=threads)
    data = data.batch(batch_size).prefetch(1)
    try:
        for batch in data.as_numpy_iterator():
            yield np.pad(batch, ((0, batch_size - len(batch)), (0, 0), (0, 0), (0, 0)))
    except tf.errors.InvalidArgumentError:
        _raise_first_unreadable(source)
        raise


def _raise_first_unreadable(source: Source) -> None:
    """Raise the error of the first bad photo: one inside a pipeline does not say whose it is."""
    decode = _decoder(source)
    for index, name in enumerate(source.names):
        source.read(name)
        try:
            decode(index)
        except (tf.errors.InvalidArgumentError, ValueError):
            height, width = source.size_hw
            text = f"expected a readable {width}x{height} picture, found another; run `dvc repro -sf resize`"
            raise PhotoError(f"{name} among the letterboxed photos: {text}") from None


def _loader(source: Source, cache_mb: int) -> Callable[[Any], Any]:
    """Return a function of an index: from memory where all photos fit into `cache_mb`, else from disk."""
    decode, n_photos = _decoder(source), len(source.names)
    if n_photos * math.prod(source.size_hw) * 3 > cache_mb * 1e6:
        return decode
    data = tf.data.Dataset.range(n_photos).map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    photos = data.batch(n_photos).get_single_element()
    return lambda index: photos[index]


def _decoder(source: Source) -> Callable[[Any], Any]:
    """Return a function of an index that gives the photo, RGB uint8 (H, W, 3)."""
    fetch = _fetcher(source)

    def decode(index: Any) -> Any:
        photo = tf.io.decode_image(fetch(index), 3, expand_animations=False)
        return tf.ensure_shape(photo, (*source.size_hw, 3))

    return decode


def _fetcher(source: Source) -> Callable[[Any], Any]:
    """Return a function of an index that gives a photo's bytes, in Python: TensorFlow itself reads only whole files."""

    def read(index: np.int64) -> bytes:
        return source.read(source.names[index])

    return lambda index: tf.ensure_shape(tf.numpy_function(read, [index], tf.string, stateful=False), ())
