"""Photos of an archive as batches of one fixed shape: shuffled and varied for training, in order and untouched
else.
"""

import io
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from stages.classifiers.engine import tf
from stages.core.archive import Archive, ArchiveError
from stages.schemas.split_data import SplitData


class PhotoError(ValueError):
    """A photo is not there, cannot be decoded, or has another size than the others."""


class ImageSource(NamedTuple):
    """N photos: their `names`, by which `read` gives the bytes of each as PNG or JPEG, their `labels` (N,) int64, and
    the height and the width that each must have, in pixels.
    """

    read: Callable[[str], bytes]
    names: list[str]
    labels: np.ndarray
    size_hw: tuple[int, int]

    @classmethod
    def of(cls, pictures: Archive, photos: SplitData, size_hw: tuple[int, int]) -> "ImageSource":
        """The source of photos in an archive. Raises PhotoError naming the first that is not in it."""
        for name in photos.names:
            if name not in pictures:
                raise PhotoError(f"{pictures.path}: expected a photo {name}, found none; run `dvc repro resize`")
        return cls(pictures.read, photos.names, photos.labels, size_hw)


def in_order(source: ImageSource, batch_size: int, count: int | None = None) -> Iterator[np.ndarray]:
    """Yield the photos as they are, RGB uint8 (B, H, W, 3), in order; the last batch is filled with black. If there is
    a `count`, so many: fewer than there are, or the first ones again.

    Raises PhotoError naming the first photo that cannot be decoded or has another size, ArchiveError a damaged one.
    """
    if not source.names:
        return
    decode, n_photos = image_decoder(source), len(source.names)
    data = tf.data.Dataset.range(n_photos if count is None else count)
    data = data.map(lambda place: decode(place % n_photos), num_parallel_calls=parallel_calls())
    data = data.batch(batch_size).prefetch(1)
    try:
        for batch in data.as_numpy_iterator():
            yield np.pad(batch, ((0, batch_size - len(batch)), (0, 0), (0, 0), (0, 0)))
    except tf.errors.InvalidArgumentError:
        _raise_first_unreadable(source)
        raise


def _raise_first_unreadable(source: ImageSource) -> None:
    """Raise the error of the first bad photo: one inside a pipeline does not say whose it is."""
    decode = image_decoder(source)
    for index, name in enumerate(source.names):
        source.read(name)
        try:
            decode(index)
        except (tf.errors.InvalidArgumentError, ValueError):
            height, width = source.size_hw
            text = f"expected a readable {width}x{height} picture, found another; run `dvc repro -sf resize`"
            raise PhotoError(f"{name} among the letterboxed photos: {text}") from None


def image_loader(source: ImageSource, cache_mb: int) -> Callable[[Any], Any]:
    """Return a function of an index: from memory where all photos fit into `cache_mb`, else from disk."""
    decode, n_photos = image_decoder(source), len(source.names)
    if n_photos * math.prod(source.size_hw) * 3 > cache_mb * 1e6:
        return decode
    data = tf.data.Dataset.range(n_photos).map(decode, num_parallel_calls=tf.data.AUTOTUNE)
    photos = data.batch(n_photos).get_single_element()
    return lambda index: photos[index]


def image_decoder(source: ImageSource) -> Callable[[Any], Any]:
    """Return a function of an index that gives the photo, RGB uint8 (H, W, 3)."""
    fetch = _fetcher(source)

    def decode(index: Any) -> Any:
        photo = tf.io.decode_image(fetch(index), 3, expand_animations=False)
        return tf.ensure_shape(photo, (*source.size_hw, 3))

    return decode


def _fetcher(source: ImageSource) -> Callable[[Any], Any]:
    """Return a function of an index that gives a photo's bytes, in Python: TensorFlow itself reads only whole files."""

    def read(index: np.int64) -> bytes:
        return source.read(source.names[index])

    return lambda index: tf.ensure_shape(tf.numpy_function(read, [index], tf.string, stateful=False), ())


def image_size_hw(pictures: Archive, photos: SplitData) -> tuple[int, int]:
    """Return the height and the width, in pixels, of the first of the photos: all have those. Raises ArchiveError."""
    name = photos.names[0]
    content = pictures.read(name)
    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.height, image.width
    except OSError:
        text = f"{pictures.path}: {name}: expected a picture, found other bytes; run `dvc repro -sf resize`"
        raise ArchiveError("not_an_image", text) from None


def parallel_calls() -> int:
    """Return how many elements tf.data maps at once: the threads of `runtime.configure`, else what TensorFlow tunes."""
    return tf.config.threading.get_inter_op_parallelism_threads() or tf.data.AUTOTUNE
