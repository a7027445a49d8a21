"""Augmentation of training images: TensorFlow ops for one image at a time, and mixup and CutMix for a batch.

Each op takes an RGB float32 tensor (H, W, 3) in 0..255 and a seed (2,) int32, and returns the same shape and range. It
is a pure function of both and has no generator state, so the order and the threads of the calls do not matter.
"""

import math
from collections.abc import Callable
from typing import Any

from stages.classifiers.engine import tf
from stages.train.settings import AugmentSettings

# The middle of the range, which the networks normalise to about zero.
_GREY = 127.0


def augment(image: Any, seed: Any, strength: Any, settings: AugmentSettings) -> Any:
    """Augment one RGB uint8 image (H, W, 3); `seed` (2,) int32. `strength` 0..1 scales all probabilities but flip's."""
    seeds = tf.random.split(seed, 10)
    result = tf.cast(image, tf.float32)
    ops: tuple[tuple[Callable[[Any, Any, AugmentSettings], Any], Any], ...] = (
        (flip, settings.flip),
        (affine, settings.affine * strength),
        (colour, settings.colour * strength),
        (blur, settings.blur * strength),
        (cutout, settings.cutout * strength),
    )
    for number, (op, probability) in enumerate(ops):
        draw = _uniform(seeds[2 * number], (), 0.0, 1.0)
        applied = tf.cond(
            draw < probability,
            lambda op=op, result=result, number=number: op(result, seeds[2 * number + 1], settings),
            lambda result=result: result,
        )
        result = tf.ensure_shape(applied, image.shape)
    return tf.saturate_cast(tf.round(result), tf.uint8)


def strength(progress: Any, settings: AugmentSettings) -> Any:
    """Return the strength at `progress` 0..1 of the training: 1, then a linear decay to `final_strength`."""
    decay_share = max(1.0 - settings.full_share, 1e-6)
    decay = tf.clip_by_value((tf.cast(progress, tf.float32) - settings.full_share) / decay_share, 0.0, 1.0)
    return 1.0 - decay * (1.0 - settings.final_strength)


def flip(image: Any, _seed: Any, _settings: AugmentSettings) -> Any:
    """Mirror the image, left to right."""
    return tf.reverse(image, [1])


def affine(image: Any, seed: Any, settings: AugmentSettings) -> Any:
    """Rotate, zoom and shift about the centre, with bilinear interpolation; edge pixels are repeated outwards."""
    turn, zoom, shift_x, shift_y = tf.unstack(_uniform(seed, (4,), -1.0, 1.0))
    angle = turn * settings.rotate_degrees * (3.141592653589793 / 180)
    scale = 1.0 + zoom * settings.zoom
    height, width = image.shape[0], image.shape[1]
    cos, sin = tf.cos(angle) / scale, tf.sin(angle) / scale
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    # Output pixel (x, y) is read at (cos x - sin y + c, sin x + cos y + f) of the input.
    c = centre_x - cos * centre_x + sin * centre_y + shift_x * settings.shift * width
    f = centre_y - sin * centre_x - cos * centre_y + shift_y * settings.shift * height
    transform = tf.stack([cos, -sin, c, sin, cos, f, 0.0, 0.0])
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=image[None],
        transforms=transform[None],
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )[0]


def colour(image: Any, seed: Any, settings: AugmentSettings) -> Any:
    """Scale brightness, contrast about the mean, and saturation about the grey value of each pixel; then clip."""
    draws = tf.unstack(_uniform(seed, (3,), -1.0, 1.0))
    brightness, contrast, saturation = (
        1.0 + draw * size for draw, size in zip(draws, (settings.brightness, settings.contrast, settings.saturation))
    )
    image = image * brightness
    mean = tf.reduce_mean(image)
    image = mean + (image - mean) * contrast
    grey = tf.reduce_sum(image * [0.299, 0.587, 0.114], axis=-1, keepdims=True)
    return tf.clip_by_value(grey + (image - grey) * saturation, 0.0, 255.0)


def blur(image: Any, seed: Any, settings: AugmentSettings) -> Any:
    """Apply a Gaussian blur with a sigma of up to `blur_px`, normalised at the edges: no pixels from outside."""
    radius = max(1, math.ceil(2 * settings.blur_px))
    sigma = tf.maximum(_uniform(seed, (), 0.0, 1.0) * settings.blur_px, 1e-3)
    line = tf.exp(-((tf.range(-radius, radius + 1, dtype=tf.float32) / sigma) ** 2) / 2)
    for shape in ((-1, 1), (1, -1)):
        kernel = tf.tile(tf.reshape(line, shape)[..., None, None], [1, 1, 3, 1])
        norm = tf.nn.depthwise_conv2d(tf.ones_like(image)[None], kernel, [1, 1, 1, 1], "SAME")
        image = (tf.nn.depthwise_conv2d(image[None], kernel, [1, 1, 1, 1], "SAME") / norm)[0]
    return image


def cutout(image: Any, seed: Any, settings: AugmentSettings) -> Any:
    """Fill a random square with grey, clipped at the edges (DeVries & Taylor 2017, arXiv:1708.04552, section 3)."""
    height, width = image.shape[0], image.shape[1]
    half = settings.cutout_side * min(height, width) / 2
    centre = _uniform(seed, (2,), 0.0, 1.0) * [height, width]
    rows = tf.abs(tf.range(height, dtype=tf.float32) + 0.5 - centre[0]) < half
    columns = tf.abs(tf.range(width, dtype=tf.float32) + 0.5 - centre[1]) < half
    return tf.where((rows[:, None] & columns[None, :])[..., None], _GREY, image)


def mix(images: Any, targets: Any, seed: Any, strength: Any, settings: AugmentSettings) -> tuple[Any, Any]:
    """Mix each image of a batch (B, H, W, 3) uint8, and its target (B, C), with the one before it in the batch.

    The weight of the image itself is drawn from Beta(a, a), a being `mix_alpha`. Mixup adds the two images with these
    weights (Zhang et al. 2018, arXiv:1710.09412, section 2), CutMix pastes a rectangle of the other one (Yun et al.
    2019, arXiv:1905.04899, section 3.1). `strength` scales both probabilities; CutMix comes first where both are due.
    """
    n_images, height, width = images.shape[:3]
    seeds = tf.unstack(tf.random.split(seed, 5))
    first, second = (tf.random.stateless_gamma((n_images,), seed, settings.mix_alpha) + 1e-6 for seed in seeds[:2])
    beta = first / (first + second)
    draw = _uniform(seeds[2], (n_images,), 0.0, 1.0)
    is_cutmix = draw < settings.cutmix * strength
    is_mixup = ~is_cutmix & (draw > 1 - settings.mixup * strength)
    rectangles = _rectangles(_uniform(seeds[3], (n_images, 2), 0.0, 1.0), tf.sqrt(1 - beta), (height, width))
    weight = tf.where(is_mixup[:, None, None], beta[:, None, None], 1.0)
    weight = tf.where(is_cutmix[:, None, None] & rectangles, 0.0, weight)
    image, other = tf.cast(images, tf.float32), tf.cast(tf.roll(images, 1, 0), tf.float32)
    mixed = weight[..., None] * image + (1 - weight[..., None]) * other
    share = tf.reduce_mean(tf.broadcast_to(weight, (n_images, height, width)), axis=[1, 2])[:, None]
    return tf.saturate_cast(tf.round(mixed), tf.uint8), share * targets + (1 - share) * tf.roll(targets, 1, 0)


def _rectangles(centres: Any, sides: Any, size_hw: tuple[int, int]) -> Any:
    """Return masks (B, H, W) bool of rectangles: `centres` (B, 2) and `sides` (B,) as shares of height and width."""
    along = [
        tf.abs((tf.range(length, dtype=tf.float32) + 0.5)[None] / length - centres[:, axis, None]) < sides[:, None] / 2
        for axis, length in enumerate(size_hw)
    ]
    return along[0][:, :, None] & along[1][:, None, :]


def _uniform(seed: Any, shape: tuple[int, ...], low: float, high: float) -> Any:
    return tf.random.stateless_uniform(shape, seed, low, high)
