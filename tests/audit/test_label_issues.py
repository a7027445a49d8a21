import numpy as np
import pytest

from stages.audit import label_issues
from stages.probe import linear_probe
from stages.probe.linear_probe import Features


def planted(n_swapped, n_photos=600, n_classes=4):
    """Blobs, some of which have the next class for their label; probabilities out of fold."""
    rng = np.random.default_rng(5)
    truth = np.arange(n_photos) % n_classes
    values = (3 * np.eye(n_classes)[truth] + rng.normal(scale=0.6, size=(n_photos, n_classes))).astype(np.float32)
    swapped = rng.choice(n_photos, n_swapped, replace=False)
    labels = truth.copy()
    labels[swapped] = (truth[swapped] + 1) % n_classes
    found = linear_probe.out_of_fold(Features(values, labels, [str(n) for n in range(n_photos)]), n_classes, 0.01, 5)
    return labels, found, np.isin(np.arange(n_photos), swapped)


def test_most_of_the_swapped_labels_are_found_and_few_others():
    labels, probabilities, is_swapped = planted(30)
    found = label_issues.find_label_issues(labels, probabilities, 1.0)
    recall, precision = found[is_swapped].mean(), is_swapped[found].mean()
    # Measured: 25 of 30 found, none besides.
    assert recall >= 0.8 and precision >= 0.9


def test_labels_of_some_probability_are_spared():
    labels, probabilities, _ = planted(30)
    of_label = probabilities[np.arange(len(labels)), labels]
    found = label_issues.find_label_issues(labels, probabilities, 1.0)
    stricter = label_issues.find_label_issues(labels, probabilities, 0.02)
    assert 0 < stricter.sum() < found.sum()
    np.testing.assert_array_equal(stricter, found & (of_label <= 0.02))


def test_clean_labels_are_left_alone():
    labels, probabilities, _ = planted(0)
    assert label_issues.find_label_issues(labels, probabilities, 1.0).sum() == 0


@pytest.mark.parametrize("labels", [[], [1], [0, 0, 2]])
def test_few_photos_and_absent_classes(labels):
    sure = np.full((len(labels), 4), 0.02)
    sure[np.arange(len(labels)), labels] = 0.94
    assert label_issues.find_label_issues(np.array(labels, np.int64), sure, 1.0).tolist() == [False] * len(labels)
