import numpy as np
import pytest

from stages.classifiers.engine import tf
from stages.train import augment
from stages.train.settings import AugmentSettings

NONE = AugmentSettings(flip=0, affine=0, colour=0, cutout=0)
ALL = AugmentSettings(flip=1, affine=1, colour=1, blur=1, cutout=1)
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
    params = AugmentSettings(flip=0.25, affine=0, colour=0, cutout=0)
    seeds = tf.stack([tf.range(2000), tf.zeros(2000, tf.int32)], axis=1)
    data = tf.data.Dataset.from_tensor_slices(seeds).map(lambda s: augment.augment(image, s, 1.0, params))
    flipped = [row[0, 0, 0] == 9 for row in data.as_numpy_iterator()]
    # Five standard deviations of a binomial share: 5 x sqrt(0.25 x 0.75 / 2000) = 0.048.
    assert np.mean(flipped) == pytest.approx(0.25, abs=0.05)


def test_affine_without_size_changes_nothing():
    image = photo(7, 9)
    still = AugmentSettings(rotate_degrees=0, zoom=0, shift=0)
    np.testing.assert_allclose(augment.affine(floats(image), SEED, still), image, atol=1e-3)


def test_affine_shifts_by_whole_pixels_and_repeats_the_edge(monkeypatch):
    image = floats(photo(5, 10))
    monkeypatch.setattr(augment, "_uniform", lambda *_: tf.constant([0.0, 0.0, 1.0, -1.0]))
    moved = augment.affine(image, SEED, AugmentSettings(shift=0.2)).numpy()
    np.testing.assert_allclose(moved[1:, :8], image[:-1, 2:], atol=1e-3)
    np.testing.assert_allclose(moved[0, :8], image[0, 2:], atol=1e-3)
    np.testing.assert_allclose(moved[1:, 8:], np.repeat(image[:-1, 9:], 2, axis=1), atol=1e-3)


def test_affine_turns_about_the_centre(monkeypatch):
    image = floats(photo(5, 5))
    monkeypatch.setattr(augment, "_uniform", lambda *_: tf.constant([1.0, 0.0, 0.0, 0.0]))
    turned = augment.affine(image, SEED, AugmentSettings(rotate_degrees=90)).numpy()
    # Row 0 of the result is read upwards along column 4 or 0, as rot90 does it one way or the other.
    np.testing.assert_allclose(turned, np.rot90(image, 1), atol=1e-2)


def test_affine_zooms_about_the_centre(monkeypatch):
    image = floats(photo(9, 9))
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


def test_cutout_paints_one_square_of_its_size(monkeypatch):
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
    found = augment.blur(floats(image), SEED, AugmentSettings(blur_px=1.0)).numpy()
    line = np.exp(-(np.array([2, 1, 0, 1, 2]) ** 2) / 2)
    # Along the row all five taps see the picture; down the column only three of them do, at the upper edge.
    assert found[0, 3, 0] == pytest.approx(90 * line[2] / line.sum() * line[2] / line[2:].sum(), rel=1e-5)
    assert found[3, 6, 1] == pytest.approx(60 / line[:3].sum() / line[:4].sum(), rel=1e-5)
    np.testing.assert_allclose(augment.blur(floats(np.full((5, 7, 3), 8.0)), SEED, ALL), 8, rtol=1e-5)


@pytest.fixture
def batch():
    photos = np.stack([np.full((10, 20, 3), value, np.uint8) for value in (0, 100, 200)])
    return tf.constant(photos), tf.constant(np.eye(3, dtype=np.float32))


def test_mixup_adds_each_photo_to_the_one_before_it(batch):
    photos, targets = (part.numpy() for part in augment.mix(*batch, SEED, 1.0, AugmentSettings(mixup=1)))
    shares = np.diag(targets)
    assert len(set(shares)) == 3 and ((shares > 0) & (shares < 1)).all()
    for number, before in enumerate((2, 0, 1)):
        assert targets[number, before] == pytest.approx(1 - shares[number])
        expected = shares[number] * 100 * number + (1 - shares[number]) * 100 * before
        np.testing.assert_allclose(photos[number], expected, atol=0.51)


def test_cutmix_pastes_a_rectangle_and_counts_its_pixels(batch, monkeypatch):
    monkeypatch.setattr(tf.random, "stateless_gamma", lambda *_: tf.constant([3.0, 3.0, 3.0]))
    monkeypatch.setattr(augment, "_uniform", lambda _, shape, *__: tf.fill(shape, 0.5))
    photos, targets = (part.numpy() for part in augment.mix(*batch, SEED, 1.0, AugmentSettings(cutmix=1)))
    # Shares of a half: sides of 0.707, so 7.07 of 10 rows and 14.1 of 20 columns; pixels within are 8 by 14.
    expected = np.full((10, 20), 100)
    expected[1:9, 3:17] = 0
    np.testing.assert_array_equal(photos[1, ..., 0], expected)
    assert targets[1].tolist() == pytest.approx([8 * 14 / 200, 1 - 8 * 14 / 200, 0])


@pytest.mark.parametrize(("strength", "share"), [(0.0, 0.0), (0.5, 0.3)])
def test_mixing_keeps_to_its_probability_and_the_strength(batch, strength, share):
    params, n_mixed = AugmentSettings(mixup=0.4, cutmix=0.2), 0
    for number in range(300):
        photos, targets = augment.mix(*batch, tf.constant([number, 1]), strength, params)
        is_mixed = np.diag(targets) < 1
        n_mixed += is_mixed.sum()
        np.testing.assert_array_equal(photos.numpy()[~is_mixed], batch[0].numpy()[~is_mixed])
    # Five standard deviations at most: 5 x sqrt(0.3 x 0.7 / 900) = 0.076; tiny windows may hold no pixel.
    assert n_mixed / 900 == pytest.approx(share, abs=0.08)


def test_strength_falls_in_a_line():
    params = AugmentSettings(full_share=0.5, final_strength=0.2)
    found = [float(augment.strength(p, params)) for p in (0.0, 0.5, 0.75, 1.0)]
    assert found == pytest.approx([1.0, 1.0, 0.6, 0.2])
    assert float(augment.strength(0.99, AugmentSettings(full_share=1.0))) == 1.0
