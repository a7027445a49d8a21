import numpy as np
import pytest

from stages.classifiers.engine import tf
from stages.train import augment
from stages.train.settings import AugmentSettings

NONE = AugmentSettings(flip=0, affine=0, colour=0, cutout=0)
ALL = AugmentSettings(flip=1, affine=1, colour=1, blur=1, cutout=1)
SEED = tf.constant([3, 4])


def noise(height=20, width=31):
    """A random image without any symmetry."""
    return np.random.default_rng(5).integers(0, 256, (height, width, 3)).astype(np.uint8)


def floats(image):
    return tf.constant(image, tf.float32)


def augment_in_tf_data(image, seed, strength, settings):
    data = tf.data.Dataset.from_tensors((image, seed))
    data = data.map(lambda x, s: augment.augment(x, s, strength, settings), num_parallel_calls=2)
    return data.get_single_element().numpy()


@pytest.mark.parametrize("size", [(20, 31), (1, 500), (500, 1), (2, 2)])
@pytest.mark.parametrize("seed", [[0, 0], [1, -7], [2**31 - 1, 5]])
def test_eager_and_graph_results_agree_and_the_input_is_unchanged(size, seed):
    image = noise(*size)
    before = image.copy()
    eager = augment.augment(tf.constant(image), tf.constant(seed), 1.0, ALL).numpy()
    np.testing.assert_array_equal(augment_in_tf_data(image, tf.constant(seed), 1.0, ALL), eager)
    np.testing.assert_array_equal(image, before)
    assert eager.dtype == np.uint8 and eager.shape == image.shape
    assert size[0] < 3 or not np.array_equal(eager, image)


def test_the_result_depends_on_the_seed_only():
    image = noise()
    first, repeated, other = (augment_in_tf_data(image, tf.constant(s), 1.0, ALL) for s in ([1, 2], [1, 2], [1, 3]))
    np.testing.assert_array_equal(first, repeated)
    assert not np.array_equal(first, other)


def test_a_probability_or_strength_of_zero_changes_nothing_but_flips():
    image = noise()
    for number in range(20):
        seed = tf.constant([number, 0])
        np.testing.assert_array_equal(augment.augment(tf.constant(image), seed, 1.0, NONE), image)
        flipped = augment.augment(tf.constant(image), seed, 0.0, ALL).numpy()
        np.testing.assert_array_equal(flipped, image[:, ::-1])


def test_flip_mirrors_left_to_right():
    image = np.arange(12.0).reshape(2, 2, 3)
    np.testing.assert_array_equal(augment.flip(floats(image), SEED, ALL), image[:, ::-1])


def test_ops_are_applied_with_their_probability():
    image = tf.constant([[[0, 0, 0], [9, 9, 9]]], tf.uint8)
    settings = AugmentSettings(flip=0.25, affine=0, colour=0, cutout=0)
    seeds = tf.stack([tf.range(2000), tf.zeros(2000, tf.int32)], axis=1)
    data = tf.data.Dataset.from_tensor_slices(seeds).map(lambda s: augment.augment(image, s, 1.0, settings))
    flipped = [row[0, 0, 0] == 9 for row in data.as_numpy_iterator()]
    # Within five standard deviations of a binomial share: 5 x sqrt(0.25 x 0.75 / 2000) = 0.048.
    assert np.mean(flipped) == pytest.approx(0.25, abs=0.05)


def test_affine_of_size_zero_is_the_identity():
    image = noise(7, 9)
    identity = AugmentSettings(rotate_degrees=0, zoom=0, shift=0)
    np.testing.assert_allclose(augment.affine(floats(image), SEED, identity), image, atol=1e-3)


def test_affine_shifts_by_whole_pixels_and_repeats_the_edge(monkeypatch):
    image = floats(noise(5, 10))
    monkeypatch.setattr(augment, "_uniform", lambda *_: tf.constant([0.0, 0.0, 1.0, -1.0]))
    moved = augment.affine(image, SEED, AugmentSettings(shift=0.2)).numpy()
    np.testing.assert_allclose(moved[1:, :8], image[:-1, 2:], atol=1e-3)
    np.testing.assert_allclose(moved[0, :8], image[0, 2:], atol=1e-3)
    np.testing.assert_allclose(moved[1:, 8:], np.repeat(image[:-1, 9:], 2, axis=1), atol=1e-3)


def test_affine_rotates_about_the_centre(monkeypatch):
    image = floats(noise(5, 5))
    # Twice the largest angle: a quarter turn is exact.
    monkeypatch.setattr(augment, "_uniform", lambda *_: tf.constant([2.0, 0.0, 0.0, 0.0]))
    rotated = augment.affine(image, SEED, AugmentSettings(rotate_degrees=45)).numpy()
    np.testing.assert_allclose(rotated, np.rot90(image, 1), atol=1e-2)


def test_affine_zooms_about_the_centre(monkeypatch):
    image = floats(noise(9, 9))
    monkeypatch.setattr(augment, "_uniform", lambda *_: tf.constant([0.0, -1.0, 0.0, 0.0]))
    smaller = augment.affine(image, SEED, AugmentSettings(zoom=0.5)).numpy()
    np.testing.assert_allclose(smaller[2:7, 2:7], image[::2, ::2], atol=1e-2)


def test_colour_by_hand(monkeypatch):
    image = floats([[[100, 50, 0], [0, 50, 100]]])
    brighter = AugmentSettings(brightness=0.2, contrast=0, saturation=0)
    monkeypatch.setattr(augment, "_uniform", lambda *_: tf.constant([1.0, 1.0, 1.0]))
    np.testing.assert_allclose(augment.colour(image, SEED, brighter), image * 1.2, rtol=1e-5)
    harder = AugmentSettings(brightness=0, contrast=0.5, saturation=0)
    np.testing.assert_allclose(augment.colour(image, SEED, harder)[0, 0], [125, 50, 0], atol=1e-3)
    monkeypatch.setattr(augment, "_uniform", lambda *_: tf.constant([-1.0, -1.0, -1.0]))
    grey = augment.colour(image, SEED, AugmentSettings(brightness=0, contrast=0, saturation=1)).numpy()
    np.testing.assert_allclose(grey[0, 0], [59.25] * 3, atol=1e-3)


def test_cutout_fills_one_square_of_its_size(monkeypatch):
    image = floats(np.full((20, 30, 3), 9))
    monkeypatch.setattr(augment, "_uniform", lambda *_: tf.constant([0.5, 0.5]))
    cut = augment.cutout(image, SEED, AugmentSettings(cutout_side=0.3)).numpy()
    expected = np.full((20, 30, 3), 9.0)
    expected[7:13, 12:18] = 127
    np.testing.assert_array_equal(cut, expected)
    monkeypatch.setattr(augment, "_uniform", lambda *_: tf.constant([0.0, 0.0]))
    corner = augment.cutout(image, SEED, AugmentSettings(cutout_side=0.3)).numpy()
    assert (corner[:3, :3] == 127).all() and (corner == 127).sum() == 3 * 3 * 3


def test_blur_by_hand(monkeypatch):
    image = np.zeros((5, 7, 3))
    image[0, 3], image[3, 6] = 90, 60
    monkeypatch.setattr(augment, "_uniform", lambda *_: tf.constant(1.0))
    blurred = augment.blur(floats(image), SEED, AugmentSettings(blur_px=1.0)).numpy()
    line = np.exp(-(np.array([2, 1, 0, 1, 2]) ** 2) / 2)
    # In row 0 all five taps of the row lie in the image, but only three of the column.
    assert blurred[0, 3, 0] == pytest.approx(90 * line[2] / line.sum() * line[2] / line[2:].sum(), rel=1e-5)
    assert blurred[3, 6, 1] == pytest.approx(60 / line[:3].sum() / line[:4].sum(), rel=1e-5)
    np.testing.assert_allclose(augment.blur(floats(np.full((5, 7, 3), 8.0)), SEED, ALL), 8, rtol=1e-5)


@pytest.fixture
def batch():
    """Three images of one grey value each, 0, 100 and 200, and their one-hot targets."""
    images = np.stack([np.full((10, 20, 3), value, np.uint8) for value in (0, 100, 200)])
    return tf.constant(images), tf.constant(np.eye(3, dtype=np.float32))


def test_mixup_adds_each_image_to_the_one_before_it(batch):
    images, targets = (part.numpy() for part in augment.mix(*batch, SEED, 1.0, AugmentSettings(mixup=1)))
    shares = np.diag(targets)
    assert len(set(shares)) == 3 and ((shares > 0) & (shares < 1)).all()
    for number, previous in enumerate((2, 0, 1)):
        assert targets[number, previous] == pytest.approx(1 - shares[number])
        expected = shares[number] * 100 * number + (1 - shares[number]) * 100 * previous
        np.testing.assert_allclose(images[number], expected, atol=0.51)


def test_cutmix_pastes_a_rectangle_and_counts_its_pixels(batch, monkeypatch):
    monkeypatch.setattr(tf.random, "stateless_gamma", lambda *_: tf.constant([3.0, 3.0, 3.0]))
    monkeypatch.setattr(augment, "_uniform", lambda _, shape, *__: tf.fill(shape, 0.5))
    images, targets = (part.numpy() for part in augment.mix(*batch, SEED, 1.0, AugmentSettings(cutmix=1)))
    # A share of 1/2: sides of 0.707, so 7.07 of 10 rows and 14.1 of 20 columns; they hold the centres of 8 x 14 pixels.
    expected = np.full((10, 20), 100)
    expected[1:9, 3:17] = 0
    np.testing.assert_array_equal(images[1, ..., 0], expected)
    assert targets[1].tolist() == pytest.approx([8 * 14 / 200, 1 - 8 * 14 / 200, 0])


@pytest.mark.parametrize(("strength", "share"), [(0.0, 0.0), (0.5, 0.3)])
def test_images_are_mixed_with_their_probability_times_the_strength(batch, strength, share):
    settings, n_mixed = AugmentSettings(mixup=0.4, cutmix=0.2), 0
    for number in range(300):
        images, targets = augment.mix(*batch, tf.constant([number, 1]), strength, settings)
        is_mixed = np.diag(targets) < 1
        n_mixed += is_mixed.sum()
        np.testing.assert_array_equal(images.numpy()[~is_mixed], batch[0].numpy()[~is_mixed])
    # Within five standard deviations: 5 x sqrt(0.3 x 0.7 / 900) = 0.076; a tiny rectangle may hold no pixel.
    assert n_mixed / 900 == pytest.approx(share, abs=0.08)


def test_the_strength_decays_linearly():
    settings = AugmentSettings(full_share=0.5, final_strength=0.2)
    strengths = [float(augment.strength(progress, settings)) for progress in (0.0, 0.5, 0.75, 1.0)]
    assert strengths == pytest.approx([1.0, 1.0, 0.6, 0.2])
    assert float(augment.strength(0.99, AugmentSettings(full_share=1.0))) == 1.0
