import numpy as np
import pytest

from stages.probe import linear_probe
from stages.probe.linear_probe import Features


def blobs(n_photos=90, noise=0.3, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(n_photos) % 3
    values = np.eye(3)[labels] + noise * rng.normal(size=(n_photos, 3))
    return Features(values.astype(np.float32), labels, [str(n) for n in range(n_photos)])


def test_head_probabilities_by_hand():
    head = np.array([[np.log(2), 0.0]]), np.array([0.0, np.log(3)])
    np.testing.assert_allclose(
        linear_probe.head_probabilities(head, np.array([[0.0], [2.0]], np.float32)), [[1 / 4, 3 / 4], [4 / 7, 3 / 7]]
    )


def test_no_photo_is_predicted_by_a_probe_fitted_on_it_or_its_near_duplicate():
    """Labels are random: only a probe fitted on a photo, or on its copy, can predict them."""
    rng = np.random.default_rng(1)
    values, labels = rng.normal(size=(40, 60)), rng.integers(0, 2, 40)
    twice = Features(np.repeat(values, 2, axis=0), np.repeat(labels, 2), [str(n // 2) for n in range(80)])
    grouped = linear_probe.out_of_fold(twice, 2, 1e-6, 5)
    ungrouped = linear_probe.out_of_fold(twice._replace(groups=[str(n) for n in range(80)]), 2, 1e-6, 5)
    first, second = ((rows.argmax(axis=1) == twice.labels).mean() for rows in (grouped, ungrouped))
    assert first < 0.7 and second > 0.9
    np.testing.assert_allclose(grouped.sum(axis=1), 1)


def test_the_penalty_has_the_least_out_of_fold_loss():
    probe = linear_probe.fit_probe(blobs(), 3, (1e-4, 0.01, 100.0), 5)
    assert probe.l2 in (1e-4, 0.01)
    assert (probe.out_of_fold.argmax(axis=1) == blobs().labels).mean() > 0.9
    other = blobs(seed=7)
    assert (linear_probe.head_probabilities(probe.head, other.values).argmax(axis=1) == other.labels).mean() > 0.9
    # Random labels and more features than photos: the stronger the penalty, the less is overfitted.
    rng = np.random.default_rng(3)
    noise = Features(rng.normal(size=(60, 90)), rng.integers(0, 3, 60), blobs().groups[:60])
    assert linear_probe.fit_probe(noise, 3, (1e-4, 0.01, 100.0), 5).l2 == 100.0


@pytest.mark.parametrize("groups", [["a"] * 90, ["a"] * 45 + ["b"] * 45])
def test_few_groups(groups):
    predicted = linear_probe.out_of_fold(blobs()._replace(groups=groups), 4, 0.01, 5)
    if len(set(groups)) == 1:
        np.testing.assert_array_equal(predicted, 0.25)
    else:
        assert (predicted.argmax(axis=1) == blobs().labels).mean() > 0.9


def test_every_fold_has_every_class_whatever_the_order():
    """Classes alternate with period three: unstratified folds of every third photo would hold one class each."""
    predicted = linear_probe.out_of_fold(blobs(), 3, 0.01, 3)
    assert (predicted.argmax(axis=1) == blobs().labels).mean() > 0.9


def test_classes_with_fewer_photos_than_folds():
    few = Features(blobs().values[:7], np.array([0, 1, 1, 1, 1, 1, 2]), blobs().groups[:7])
    np.testing.assert_allclose(linear_probe.out_of_fold(few, 3, 0.01, 5).sum(axis=1), 1)
    single = Features(few.values[:3], np.array([0, 1, 2]), few.groups[:3])
    np.testing.assert_array_equal(linear_probe.out_of_fold(single, 3, 0.01, 5), 1 / 3)
