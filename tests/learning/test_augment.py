import numpy as np
import pytest

from stages.learning import augment
from stages.learning.engine import tf
from stages.learning.recipe import AugmentParams

NONE = AugmentParams(flip=0, affine=0, colour=0, cutout=0)
ALL = AugmentParams(flip=1, affine=1, colour=1, cutout=1)
SEED = tf.constant([3, 4])


def photo(height=20, width=31):
    """Four different corners, nothing symmetric."""
    return np.random.default_rng(5).integers(0, 256, (height, width, 3)).astype(np.uint8)


def floats(image):
    return tf.constant(image, tf.float32)


def in_pipeline(image, seed, strength, params):
    data = tf.data.Dataset.from_tensors((image, seed))
    data = data.map(lambda x, s: augment.augment(x, s, strength, params), num_parallel_calls=2)
    return data.get_single_element().numpy()


@pytest.mark.parametrize("size", [(20, 31), (1, 500), (500, 1), (2, 2)])
@pytest.mark.parametrize("seed", [[0, 0], [1, -7], [2**31 - 1, 5]])
def test_eager_and_pipeline_agree_and_the_input_stays(size, seed):
    image = photo(*size)
    before = image.copy()
    eager = augment.augment(tf.constant(image), tf.constant(seed), 1.0, ALL).numpy()
    np.testing.assert_array_equal(in_pipeline(image, tf.constant(seed), 1.0, ALL), eager)
    np.testing.assert_array_equal(image, before)
    assert eager.dtype == np.uint8 and eager.shape == image.shape
    assert size[0] < 3 or not np.array_equal(eager, image)


def test_the_seed_alone_decides():
    image = photo()
    first, again, other = (in_pipeline(image, tf.constant(s), 1.0, ALL) for s in ([1, 2], [1, 2], [1, 3]))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_nothing_is_done_at_probability_or_strength_zero():
    image = photo()
    for number in range(20):
        seed = tf.constant([number, 0])
        np.testing.assert_array_equal(augment.augment(tf.constant(image), seed, 1.0, NONE), image)
        calm = augment.augment(tf.constant(image), seed, 0.0, ALL).numpy()
        np.testing.assert_array_equal(calm, image[:, ::-1])


def test_flip_swaps_left_and_right():
    image = np.arange(12.0).reshape(2, 2, 3)
    np.testing.assert_array_equal(augment.flip(floats(image), SEED, ALL), image[:, ::-1])


def test_probabilities_are_kept():
    image = tf.constant([[[0, 0, 0], [9, 9, 9]]], tf.uint8)
    params = AugmentParams(flip=0.25, affine=0, colour=0, cutout=0)
    seeds = tf.stack([tf.range(2000), tf.zeros(2000, tf.int32)], axis=1)
    data = tf.data.Dataset.from_tensor_slices(seeds).map(lambda s: augment.augment(image, s, 1.0, params))
    flipped = [row[0, 0, 0] == 9 for row in data.as_numpy_iterator()]
    # Five standard deviations of a binomial share: 5 x sqrt(0.25 x 0.75 / 2000) = 0.048.
    assert np.mean(flipped) == pytest.approx(0.25, abs=0.05)


def test_affine_without_size_changes_nothing():
    image = photo(7, 9)
    still = AugmentParams(rotate_degrees=0, zoom=0, shift=0)
    np.testing.assert_allclose(augment.affine(floats(image), SEED, still), image, atol=1e-3)


def test_affine_shifts_by_whole_pixels_and_repeats_the_edge(monkeypatch):
    image = floats(photo(5, 10))
    monkeypatch.setattr(augment, "_uniform", lambda *_: tf.constant([0.0, 0.0, 1.0, -1.0]))
    moved = augment.affine(image, SEED, AugmentParams(shift=0.2)).numpy()
    np.testing.assert_allclose(moved[1:, :8], image[:-1, 2:], atol=1e-3)
    np.testing.assert_allclose(moved[0, :8], image[0, 2:], atol=1e-3)
    np.testing.assert_allclose(moved[1:, 8:], np.repeat(image[:-1, 9:], 2, axis=1), atol=1e-3)


def test_affine_turns_about_the_centre(monkeypatch):
    image = floats(photo(5, 5))
    monkeypatch.setattr(augment, "_uniform", lambda *_: tf.constant([1.0, 0.0, 0.0, 0.0]))
    turned = augment.affine(image, SEED, AugmentParams(rotate_degrees=90)).numpy()
    # Row 0 of the result is read upwards along column 4 or 0, as rot90 does it one way or the other.
    np.testing.assert_allclose(turned, np.rot90(image, 1), atol=1e-2)


def test_affine_zooms_about_the_centre(monkeypatch):
    image = floats(photo(9, 9))
    monkeypatch.setattr(augment, "_uniform", lambda *_: tf.constant([0.0, -1.0, 0.0, 0.0]))
    smaller = augment.affine(image, SEED, AugmentParams(zoom=0.5)).numpy()
    np.testing.assert_allclose(smaller[2:7, 2:7], image[::2, ::2], atol=1e-2)


def test_colour_by_hand(monkeypatch):
    image = floats([[[100, 50, 0], [0, 50, 100]]])
    brighter = AugmentParams(brightness=0.2, contrast=0, saturation=0)
    monkeypatch.setattr(augment, "_uniform", lambda *_: tf.constant([1.0, 1.0, 1.0]))
    np.testing.assert_allclose(augment.colour(image, SEED, brighter), image * 1.2, rtol=1e-5)
    harder = AugmentParams(brightness=0, contrast=0.5, saturation=0)
    np.testing.assert_allclose(augment.colour(image, SEED, harder)[0, 0], [125, 50, 0], atol=1e-3)
    monkeypatch.setattr(augment, "_uniform", lambda *_: tf.constant([-1.0, -1.0, -1.0]))
    grey = augment.colour(image, SEED, AugmentParams(brightness=0, contrast=0, saturation=1)).numpy()
    np.testing.assert_allclose(grey[0, 0], [59.25] * 3, atol=1e-3)


def test_cutout_paints_one_square_of_its_size(monkeypatch):
    image = floats(np.full((20, 30, 3), 9))
    monkeypatch.setattr(augment, "_uniform", lambda *_: tf.constant([0.5, 0.5]))
    cut = augment.cutout(image, SEED, AugmentParams(cutout_side=0.3)).numpy()
    expected = np.full((20, 30, 3), 9.0)
    expected[7:13, 12:18] = 127
    np.testing.assert_array_equal(cut, expected)
    monkeypatch.setattr(augment, "_uniform", lambda *_: tf.constant([0.0, 0.0]))
    corner = augment.cutout(image, SEED, AugmentParams(cutout_side=0.3)).numpy()
    assert (corner[:3, :3] == 127).all() and (corner == 127).sum() == 3 * 3 * 3


def test_strength_falls_in_a_line():
    params = AugmentParams(full_share=0.5, final_strength=0.2)
    found = [float(augment.strength(p, params)) for p in (0.0, 0.5, 0.75, 1.0)]
    assert found == pytest.approx([1.0, 1.0, 0.6, 0.2])
    assert float(augment.strength(0.99, AugmentParams(full_share=1.0))) == 1.0
