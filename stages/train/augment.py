"""Random variation of training photos, as TensorFlow ops for one photo at a time; `mix` is for a batch of them.

Every op takes an RGB float32 tensor (H, W, 3) of 0..255 and a seed (2,) int32, returns the same shape and
range, and is a pure function of both: no generator state, so the order and the thread of the calls do not
matter.
"""

import math
from collections.abc import Callable
from typing import Any

from stages.classifiers.engine import tf
from stages.train.settings import AugmentParams

# The middle of the range, which the networks see as zero.
_GREY = 127.0


def augment(photo: Any, seed: Any, strength: Any, params: AugmentParams) -> Any:
    """Vary one RGB uint8 photo (H, W, 3); `seed` (2,) int32, `strength` 0..1 bears on all but the flip."""
    seeds = tf.random.split(seed, 10)
    image = tf.cast(photo, tf.float32)
    steps: tuple[tuple[Callable[[Any, Any, AugmentParams], Any], Any], ...] = (
        (flip, params.flip),
        (affine, params.affine * strength),
        (colour, params.colour * strength),
        (blur, params.blur * strength),
        (cutout, params.cutout * strength),
    )
    for number, (step, probability) in enumerate(steps):
        draw = _uniform(seeds[2 * number], (), 0.0, 1.0)
        varied = tf.cond(
            draw < probability,
            lambda step=step, image=image, number=number: step(image, seeds[2 * number + 1], params),
            lambda image=image: image,
        )
        image = tf.ensure_shape(varied, photo.shape)
    return tf.saturate_cast(tf.round(image), tf.uint8)


def strength(progress: Any, params: AugmentParams) -> Any:
    """Return the strength at `progress` 0..1 of the training: 1, then falling to `final_strength`."""
    falling_share = max(1.0 - params.full_share, 1e-6)
    fallen = tf.clip_by_value((tf.cast(progress, tf.float32) - params.full_share) / falling_share, 0.0, 1.0)
    return 1.0 - fallen * (1.0 - params.final_strength)


def flip(image: Any, _seed: Any, _params: AugmentParams) -> Any:
    """Swap left and right."""
    return tf.reverse(image, [1])


def affine(image: Any, seed: Any, params: AugmentParams) -> Any:
    """Turn, scale and shift about the centre; edge pixels are repeated outwards."""
    turn, zoom, shift_x, shift_y = tf.unstack(_uniform(seed, (4,), -1.0, 1.0))
    angle = turn * params.rotate_degrees * (3.141592653589793 / 180)
    scale = 1.0 + zoom * params.zoom
    height, width = image.shape[0], image.shape[1]
    cos, sin = tf.cos(angle) / scale, tf.sin(angle) / scale
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    # Output pixel (x, y) is read at (cos x - sin y + c, sin x + cos y + f) of the input.
    c = centre_x - cos * centre_x + sin * centre_y + shift_x * params.shift * width
    f = centre_y - sin * centre_x - cos * centre_y + shift_y * params.shift * height
    transform = tf.stack([cos, -sin, c, sin, cos, f, 0.0, 0.0])
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=image[None],
        transforms=transform[None],
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )[0]


def colour(image: Any, seed: Any, params: AugmentParams) -> Any:
    """Scale brightness, contrast about the mean, and saturation about each pixel's grey, then clip."""
    draws = tf.unstack(_uniform(seed, (3,), -1.0, 1.0))
    brightness, contrast, saturation = (
        1.0 + draw * size for draw, size in zip(draws, (params.brightness, params.contrast, params.saturation))
    )
    image = image * brightness
    mean = tf.reduce_mean(image)
    image = mean + (image - mean) * contrast
    grey = tf.reduce_sum(image * [0.299, 0.587, 0.114], axis=-1, keepdims=True)
    return tf.clip_by_value(grey + (image - grey) * saturation, 0.0, 255.0)


def blur(image: Any, seed: Any, params: AugmentParams) -> Any:
    """Smooth by a Gaussian of up to `blur_px` standard deviation; beyond the edges there is nothing to mix in."""
    radius = max(1, math.ceil(2 * params.blur_px))
    sigma = tf.maximum(_uniform(seed, (), 0.0, 1.0) * params.blur_px, 1e-3)
    line = tf.exp(-((tf.range(-radius, radius + 1, dtype=tf.float32) / sigma) ** 2) / 2)
    for shape in ((-1, 1), (1, -1)):
        kernel = tf.tile(tf.reshape(line, shape)[..., None, None], [1, 1, 3, 1])
        known = tf.nn.depthwise_conv2d(tf.ones_like(image)[None], kernel, [1, 1, 1, 1], "SAME")
        image = (tf.nn.depthwise_conv2d(image[None], kernel, [1, 1, 1, 1], "SAME") / known)[0]
    return image


def cutout(image: Any, seed: Any, params: AugmentParams) -> Any:
    """Paint a grey square somewhere, cut off at the edges (DeVries & Taylor 2017, arXiv:1708.04552, section
    3).
    """
    height, width = image.shape[0], image.shape[1]
    half = params.cutout_side * min(height, width) / 2
    centre = _uniform(seed, (2,), 0.0, 1.0) * [height, width]
    rows = tf.abs(tf.range(height, dtype=tf.float32) + 0.5 - centre[0]) < half
    columns = tf.abs(tf.range(width, dtype=tf.float32) + 0.5 - centre[1]) < half
    return tf.where((rows[:, None] & columns[None, :])[..., None], _GREY, image)


def mix(photos: Any, targets: Any, seed: Any, strength: Any, params: AugmentParams) -> tuple[Any, Any]:
    """Mix each photo of a batch (B, H, W, 3) uint8, and its target (B, C), with those of the one before it.

    The share of its own is drawn from Beta(a, a) with `mix_alpha`: mixup adds the photos up by it (Zhang et al. 2018,
    arXiv:1710.09412, section 2), cutmix pastes a rectangle of the other (Yun et al. 2019, arXiv:1905.04899, section
    3.1). Their probabilities are multiplied by the `strength`; a photo that meets both is cut.
    """
    n_photos, height, width = photos.shape[:3]
    seeds = tf.unstack(tf.random.split(seed, 5))
    first, second = (tf.random.stateless_gamma((n_photos,), own, params.mix_alpha) + 1e-6 for own in seeds[:2])
    drawn = first / (first + second)
    draw = _uniform(seeds[2], (n_photos,), 0.0, 1.0)
    is_cut = draw < params.cutmix * strength
    is_added = ~is_cut & (draw > 1 - params.mixup * strength)
    windows = _windows(_uniform(seeds[3], (n_photos, 2), 0.0, 1.0), tf.sqrt(1 - drawn), (height, width))
    own = tf.where(is_added[:, None, None], drawn[:, None, None], 1.0)
    own = tf.where(is_cut[:, None, None] & windows, 0.0, own)
    image, other = tf.cast(photos, tf.float32), tf.cast(tf.roll(photos, 1, 0), tf.float32)
    mixed = own[..., None] * image + (1 - own[..., None]) * other
    share = tf.reduce_mean(tf.broadcast_to(own, (n_photos, height, width)), axis=[1, 2])[:, None]
    return tf.saturate_cast(tf.round(mixed), tf.uint8), share * targets + (1 - share) * tf.roll(targets, 1, 0)


def _windows(centres: Any, sides: Any, size: tuple[int, int]) -> Any:
    """Rectangles (B, H, W) bool about `centres` (B, 2) of 0..1, `sides` (B,) as shares of the picture's."""
    along = [
        tf.abs((tf.range(length, dtype=tf.float32) + 0.5)[None] / length - centres[:, axis, None]) < sides[:, None] / 2
        for axis, length in enumerate(size)
    ]
    return along[0][:, :, None] & along[1][:, None, :]


def _uniform(seed: Any, shape: tuple[int, ...], low: float, high: float) -> Any:
    return tf.random.stateless_uniform(shape, seed, low, high)
