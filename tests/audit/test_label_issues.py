import numpy as np
import pytest

from stages.audit import label_issues
from stages.probe import linear_probe
from stages.probe.linear_probe import Features


def planted(n_swapped, n_photos=600, n_classes=4):
    """Clusters, some photos with the next class for their label; labels, out-of-fold probabilities, swapped or not."""
    rng = np.random.default_rng(5)
    truth = np.arange(n_photos) % n_classes
    values = (3 * np.eye(n_classes)[truth] + rng.normal(scale=0.6, size=(n_photos, n_classes))).astype(np.float32)
    swapped = rng.choice(n_photos, n_swapped, replace=False)
    labels = truth.copy()
    labels[swapped] = (truth[swapped] + 1) % n_classes
    probabilities = linear_probe.out_of_fold(
        Features(values, labels, [str(n) for n in range(n_photos)]), n_classes, 0.01, 5
    )
    return labels, probabilities, np.isin(np.arange(n_photos), swapped)


def test_most_swapped_labels_are_issues_and_few_others():
    labels, probabilities, is_swapped = planted(30)
    is_issue = label_issues.find_label_issues(labels, probabilities, 1.0)
    recall, precision = is_issue[is_swapped].mean(), is_swapped[is_issue].mean()
    # Measured: 25 of 30, and no other label.
    assert recall >= 0.8 and precision >= 0.9


def test_labels_above_the_maximum_probability_are_no_issues():
    labels, probabilities, _ = planted(30)
    label_probabilities = probabilities[np.arange(len(labels)), labels]
    is_issue = label_issues.find_label_issues(labels, probabilities, 1.0)
    stricter = label_issues.find_label_issues(labels, probabilities, 0.02)
    assert 0 < stricter.sum() < is_issue.sum()
    np.testing.assert_array_equal(stricter, is_issue & (label_probabilities <= 0.02))


def test_clean_labels_are_no_issues():
    labels, probabilities, _ = planted(0)
    assert label_issues.find_label_issues(labels, probabilities, 1.0).sum() == 0


@pytest.mark.parametrize("labels", [[], [1], [0, 0, 2]])
def test_few_photos_and_absent_classes(labels):
    confident = np.full((len(labels), 4), 0.02)
    confident[np.arange(len(labels)), labels] = 0.94
    assert label_issues.find_label_issues(np.array(labels, np.int64), confident, 1.0).tolist() == [False] * len(labels)
