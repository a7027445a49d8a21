import numpy as np
import pytest

from stages.classifiers.image_source import ImageSource
from stages.images import images
from stages.train import training_data
from stages.train.settings import AugmentSettings, Phase, TrainSettings

SIZE_HW = (6, 8)
N_CLASSES = 107
NO_AUGMENTATION = AugmentSettings(flip=0, affine=0, colour=0, cutout=0)
SETTINGS = TrainSettings(epochs=2, batch_size=4, augment=NO_AUGMENTATION, seed=11)


@pytest.fixture
def source():
    """Seven images of one colour each: image n has a red of 10 n and label 100 + n."""
    contents = {f"{n}.png": images.encode(np.full((*SIZE_HW, 3), (10 * n, 2, 1), np.uint8), ".png") for n in range(7)}
    return ImageSource(contents.__getitem__, list(contents), np.arange(7, dtype=np.int64) + 100, SIZE_HW)


def first_images(source, n_images):
    return source._replace(names=source.names[:n_images], labels=source.labels[:n_images])


def read(source, settings):
    """Images (steps, B, H, W, 3) and labels (steps x B,) of all batches, whose targets are one-hot."""
    batches = list(training_data.training_batches(source, settings, N_CLASSES).as_numpy_iterator())
    targets = np.concatenate([targets for _, targets in batches])
    assert targets.shape[1] == N_CLASSES and targets.dtype == np.float32
    np.testing.assert_array_equal(np.sort(targets, axis=1)[:, -2:], [[0, 1]] * len(targets))
    return np.stack([images for images, _ in batches]), targets.argmax(axis=1)


def test_batches_are_full_shuffled_and_labelled_right(source):
    batches, labels = read(source, SETTINGS)
    assert batches.shape == (4, 4, *SIZE_HW, 3) and batches.dtype == np.uint8
    np.testing.assert_array_equal(batches[..., 0, 0, 0].ravel(), (labels - 100) * 10)
    assert (batches[..., 1:] == [2, 1]).all()
    first_pass, second_pass = labels[:7], labels[7:14]
    assert sorted(first_pass) == sorted(second_pass) == list(range(100, 107))
    assert first_pass.tolist() != second_pass.tolist() and first_pass.tolist() != sorted(first_pass)


def test_order_and_augmentation_depend_on_the_seed_only(source):
    augmented = SETTINGS.replace(augment=AugmentSettings())
    batches, labels = read(source, augmented)
    uncached, same_labels = read(source, augmented.replace(cache_mb=0))
    np.testing.assert_array_equal(labels, same_labels)
    np.testing.assert_array_equal(batches, uncached)
    assert read(source, augmented.replace(seed=12))[1].tolist() != labels.tolist()


def test_an_image_is_augmented_anew_in_every_pass(source):
    batches, labels = read(source, SETTINGS.replace(epochs=4, augment=AugmentSettings(colour=1, full_share=1)))
    reds = batches[..., 0, 0, 0].ravel()[labels == 106]
    assert len(set(reds.tolist())) > 1


@pytest.fixture
def mixing():
    return SETTINGS.replace(epochs=4, augment=NO_AUGMENTATION.replace(mixup=0.5, cutmix=0.5, full_share=1.0))


def test_mixed_targets_are_the_shares_of_the_mixed_images(source, mixing):
    n_mixed = 0
    for batch, targets in training_data.training_batches(source, mixing, N_CLASSES).as_numpy_iterator():
        # Each image has one colour, so the mean red is that of the images, weighted by the target.
        np.testing.assert_allclose(
            batch[..., 0].mean(axis=(1, 2)), targets @ (np.arange(N_CLASSES) - 100) * 10, atol=0.6
        )
        n_mixed += int((targets.max(axis=1) < 1).sum())
    assert n_mixed > 8


def test_soft_targets_follow_those_of_the_labels_and_are_mixed_by_the_same_shares(source, mixing):
    soft = np.zeros((7, N_CLASSES), np.float32)
    soft[np.arange(7), np.arange(7) + 93] = 0.75
    soft[:, 0] = 0.25
    n_mixed = 0
    taught = source._replace(soft_targets=soft)
    for batch, targets in training_data.training_batches(taught, mixing, N_CLASSES).as_numpy_iterator():
        assert targets.shape == (4, 2 * N_CLASSES) and targets.dtype == np.float32
        labels, softened = np.split(targets, 2, axis=1)
        np.testing.assert_allclose(softened[:, 93:100], 0.75 * labels[:, 100:], atol=1e-6)
        np.testing.assert_allclose(softened[:, 0], 0.25, atol=1e-6)
        reds = labels @ (np.arange(N_CLASSES) - 100) * 10
        np.testing.assert_allclose(batch[..., 0].mean(axis=(1, 2)), reds, atol=0.6)
        n_mixed += int((labels.max(axis=1) < 1).sum())
    assert n_mixed > 8


def test_a_resumed_pipeline_yields_the_batches_of_the_whole_one(source, mixing):
    whole = list(training_data.training_batches(source, mixing, N_CLASSES).as_numpy_iterator())
    resumed = list(training_data.training_batches(source, mixing, N_CLASSES, first_step=3).as_numpy_iterator())
    for expected, batch in zip(whole[3:], resumed, strict=True):
        np.testing.assert_array_equal(expected[0], batch[0])
        np.testing.assert_array_equal(expected[1], batch[1])


def test_full_batches_have_no_padding(source):
    batches = list(training_data.full_batches(source, SETTINGS))
    assert [batch[:, 0, 0, 0].tolist() for batch in batches] == [[0, 10, 20, 30], [40, 50, 60, 0]]
    (single,) = training_data.full_batches(first_images(source, 3), SETTINGS)
    assert single[:, 0, 0, 0].tolist() == [0, 10, 20, 0]


@pytest.mark.parametrize("n_images", [1, 3])
def test_fewer_images_than_a_batch_are_repeated(source, n_images):
    few = first_images(source, n_images)
    batches, labels = read(few, SETTINGS)
    assert batches.shape[:2] == (2, 4)
    assert set(labels.tolist()) == set(few.labels.tolist())


@pytest.mark.parametrize(("n", "batch", "steps"), [(1, 32, 1), (32, 32, 1), (420, 32, 13), (47, 32, 1), (49, 32, 2)])
def test_steps_per_epoch(n, batch, steps):
    assert training_data.steps_per_epoch(n, batch) == steps


def test_the_strength_of_a_phase_scales_that_of_the_training(source):
    augment = NO_AUGMENTATION.replace(full_share=0.5, final_strength=0.0)
    phases = (Phase(epochs=1, strength=0.5), Phase(epochs=3))
    strength = training_data.augment_strength(source, SETTINGS.replace(unfreeze=phases, augment=augment))
    # Four epochs of two batches of four images; the decay begins with image 16 of 32.
    assert [float(strength(position)) for position in (0, 7, 8, 16, 24)] == pytest.approx([0.5, 0.5, 1, 1, 0.5])
