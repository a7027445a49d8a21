import numpy as np
import pytest
from scipy.special import softmax

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


def wrong(labels, probabilities):
    return label_issues.probability_wrong(labels, probabilities, label_issues.fit(labels, probabilities))


def test_most_swapped_labels_are_issues_and_few_others():
    labels, probabilities, is_swapped = planted(30)
    doubt = wrong(labels, probabilities)
    is_issue = doubt >= 0.5
    # Measured: 29 of 30, and no other label.
    assert is_issue[is_swapped].mean() >= 0.9 and is_swapped[is_issue].mean() >= 0.9
    assert doubt.sum() == pytest.approx(30, abs=4)


def test_clean_labels_are_no_issues():
    labels, probabilities, _ = planted(0)
    doubt = wrong(labels, probabilities)
    assert doubt.max() < 0.5 and doubt.sum() < 2


def test_a_network_that_is_often_unsure_doubts_itself_and_not_the_labels():
    # Fifty classes, of which it gives the right one 0.5, and in a fifth of the photos only 0.02.
    rng = np.random.default_rng(0)
    labels = np.arange(1000) % 50
    own = np.where(rng.random(1000) < 0.2, 0.02, 0.5)
    probabilities = np.repeat((1 - own)[:, None] / 49, 50, axis=1)
    probabilities[np.arange(1000), labels] = own
    assert wrong(labels, probabilities).max() < 0.5


def test_bayes_rule_by_hand():
    noise = label_issues.LabelNoise(rate=0.1, temperature=1.0)
    found = label_issues.probability_wrong(np.array([0, 2]), np.array([[0.2, 0.5, 0.3], [0, 0, 1]]), noise)
    # Right: 0.9 x 0.2. Wrong: a label among two others, 0.1 / 2 x 0.8.
    assert found.tolist() == pytest.approx([0.04 / (0.18 + 0.04), 0.0])


def test_a_rate_and_a_temperature_are_found_again():
    rng = np.random.default_rng(3)
    logits = rng.normal(scale=3, size=(20_000, 5))
    truth = (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
    is_wrong = rng.random(len(truth)) < 0.08
    labels = np.where(is_wrong, (truth + rng.integers(1, 5, len(truth))) % 5, truth)
    # The network is too sure by a factor of two.
    found = label_issues.fit(labels, softmax(2 * logits, axis=1))
    assert found.rate == pytest.approx(0.08, abs=0.01) and found.temperature == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("labels", [[], [1], [0, 0, 2]])
def test_few_photos_and_absent_classes(labels):
    confident = np.full((len(labels), 4), 0.02)
    confident[np.arange(len(labels)), labels] = 0.94
    assert (wrong(np.array(labels, np.int64), confident) < 0.01).all()


def test_certain_answers_give_no_nan():
    found = wrong(np.array([0, 1, 1, 0]), np.eye(2)[[0, 1, 0, 0]])
    assert np.isfinite(found).all() and found.argmax() == 2
