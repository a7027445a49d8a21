"""Model inputs of an archive as batches of one fixed shape, in order and not augmented."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from stages.classifiers.engine import tf
from stages.classifiers.image_source import ImageSource


def in_order(source: ImageSource, batch_size: int, count: int | None = None) -> Iterator[np.ndarray]:
    """Yield batches (B, H, W, 3) RGB uint8 of the images in order, the last one filled up with black.

    `count` is the number of images: fewer than there are, or the first ones again. Raises PhotoError naming the first
    image that cannot be decoded or has another size, ArchiveError where the archive is damaged.
    """
    if not source.names:
        return
    decode, n_photos = image_decoder(source), len(source.names)
    data = tf.data.Dataset.range(n_photos if count is None else count)
    data = mapped(data, lambda index: decode(index % n_photos)).batch(batch_size).prefetch(1)
    try:
        for batch in data.as_numpy_iterator():
            yield np.pad(batch, ((0, batch_size - len(batch)), (0, 0), (0, 0), (0, 0)))
    except tf.errors.InvalidArgumentError:
        _raise_first_unreadable(source)
        raise


def _raise_first_unreadable(source: ImageSource) -> None:
    """Raise the error of the first bad image: an error inside a tf.data pipeline does not name it."""
    decode = image_decoder(source)
    for index, name in enumerate(source.names):
        source.read(name)
        try:
            decode(index)
        except (tf.errors.InvalidArgumentError, ValueError):
            raise source.unreadable(name) from None


def image_loader(source: ImageSource, cache_mb: int) -> Callable[[Any], Any]:
    """Return a function from an index to its image: from memory if all fit into `cache_mb`, else from disk."""
    decode, n_photos = image_decoder(source), len(source.names)
    if n_photos * math.prod(source.size_hw) * 3 > cache_mb * 1e6:
        return decode
    photos = mapped(tf.data.Dataset.range(n_photos), decode).batch(n_photos).get_single_element()
    return lambda index: photos[index]


def image_decoder(source: ImageSource) -> Callable[[Any], Any]:
    """Return a function from an index to its image, RGB uint8 (H, W, 3)."""
    fetch = _fetcher(source)

    def decode(index: Any) -> Any:
        photo = tf.io.decode_image(fetch(index), 3, expand_animations=False)
        return tf.ensure_shape(photo, (*source.size_hw, 3))

    return decode


def _fetcher(source: ImageSource) -> Callable[[Any], Any]:
    """Return a function from an index to an image's bytes, in Python: TensorFlow itself reads only whole files."""

    def read(index: np.int64) -> bytes:
        return source.read(source.names[index])

    return lambda index: tf.ensure_shape(tf.numpy_function(read, [index], tf.string, stateful=False), ())


def mapped(data: tf.data.Dataset, function: Callable[..., Any]) -> tf.data.Dataset:
    """The elements of `data` by `function`, as many at once as `runtime.configure` pinned threads, in order.

    Without AutoGraph, which rewrites Python's `if` and `for` in a second or two: these functions have none on tensors.
    """
    n_calls = tf.config.threading.get_inter_op_parallelism_threads() or tf.data.AUTOTUNE
    return data.map(tf.autograph.experimental.do_not_convert(function), num_parallel_calls=n_calls)
