import numpy as np
import pytest
from scipy.spatial import distance
from sklearn.covariance import LedoitWolf

from stages.novelty import scores
from stages.novelty.scores import SCORES
from stages.scoring.network_outputs import NetworkOutputs


def features(*rows):
    """Outputs with these features, and logits of two classes."""
    values = np.array(rows, np.float32)
    return NetworkOutputs(values, np.zeros((len(rows), 2), np.float32))


def logits(*rows):
    return NetworkOutputs(np.zeros((len(rows), 3), np.float32), np.array(rows, np.float32))


def two_clusters(n_features=4, n=12):
    """Photos of the classes 0 and 2, which differ in the first feature."""
    values = np.random.default_rng(1).normal(size=(n, n_features))
    labels = np.repeat([0, 2], n // 2)
    values[:, 0] += 5 * labels
    return features(*values), labels


def test_the_largest_probability_by_hand():
    found = scores.max_softmax(logits((np.log(3), 0), (0, 0), (1000, -1000)), {})
    np.testing.assert_allclose(found, [-0.75, -0.5, -1], rtol=1e-6)


def test_the_energy_by_hand():
    found = scores.energy(logits((0, 0), (np.log(3), 0), (1000, 0)), {})
    np.testing.assert_allclose(found, [-np.log(2), -np.log(4), -1000], rtol=1e-6)


def test_the_distance_to_a_neighbour_by_hand():
    # Features of any length: those of train point along the two axes.
    train, photos, near = features((3, 0), (0, 0.5)), features((7, 0), (2, 1)), np.sqrt(2 - 4 / np.sqrt(5))
    first, second = (scores.fit_neighbours(train, np.array([0, 1]), n) for n in (1, 2))
    np.testing.assert_allclose(scores.neighbours(photos, first), [0, near], atol=1e-3)
    np.testing.assert_allclose(scores.neighbours(photos, second), [np.sqrt(2), np.sqrt(2 - 2 / np.sqrt(5))], atol=1e-3)


def test_more_neighbours_than_photos_are_all_of_them_and_no_feature_is_far_from_all():
    reference = scores.fit_neighbours(features((1, 0), (0, 1)), np.array([0, 1]), 9)
    np.testing.assert_allclose(scores.neighbours(features((1, 0), (0, 0)), reference), [np.sqrt(2)] * 2, atol=1e-3)


def test_distances_do_not_depend_on_the_other_photos():
    rng = np.random.default_rng(2)
    reference = scores.fit_neighbours(features(*rng.normal(size=(50, 8))), np.zeros(50, int), 3)
    photos = features(*rng.normal(size=(600, 8)))
    alone = [scores.neighbours(photos.select(np.array([row])), reference)[0] for row in (0, 255, 256, 599)]
    np.testing.assert_allclose(scores.neighbours(photos, reference)[[0, 255, 256, 599]], alone, atol=1e-6)


def at_angles(*degrees):
    """Features of length 1, 2, 3 and so on at these angles."""
    angles = np.radians(degrees)
    lengths = 1 + np.arange(len(degrees))
    return features(*zip(lengths * np.cos(angles), lengths * np.sin(angles)))


def chord(degrees):
    return 2 * np.sin(np.radians(degrees) / 2)


def test_the_local_outlier_factor_by_hand():
    # The nearest others are 10, 10 and 80 degrees away, the second nearest ones 90, 80 and 90.
    train, photos = at_angles(0, 10, 90), at_angles(20, 150)
    first, second = (scores.fit_outlier_factor(train, np.array([0, 0, 1]), n) for n in (1, 2))
    np.testing.assert_allclose(first["own_distances"], [chord(10), chord(10), chord(80)], atol=1e-3)
    by_hand = [0, np.log(chord(60) / chord(80))]
    np.testing.assert_allclose(scores.local_outlier_factor(photos, first), by_hand, atol=3e-3)
    near = np.log((chord(20) / chord(80) + chord(20) / chord(90)) / 2)
    far = np.log((chord(140) / chord(90) + chord(140) / chord(80)) / 2)
    np.testing.assert_allclose(scores.local_outlier_factor(photos, second), [near, far], atol=3e-3)


def test_copies_in_train_have_a_factor():
    """They have no distance to each other."""
    reference = scores.fit_outlier_factor(at_angles(0, 0, 0), np.array([0, 0, 0]), 1)
    found = scores.local_outlier_factor(at_angles(0, 10), reference)
    np.testing.assert_allclose(found, [0, np.log(chord(10) / 0.01)], atol=0.02)
    alone = scores.fit_outlier_factor(at_angles(45), np.array([0]), 3)
    assert np.isfinite(scores.local_outlier_factor(at_angles(45, 225), alone)).all()


def test_the_distance_to_the_nearest_class_by_hand():
    reference = {"means": np.array([[0, 0], [1, 3]]), "precision": np.diag([4, 1])}
    # 4 x 1 + 1 x 1 = 5 from the first, 0 + 4 = 4 from the second.
    np.testing.assert_allclose(scores.mahalanobis(features((1, 1)), reference), [4])


def test_gaussians_are_those_of_scikit_learn_and_scipy():
    train, labels = two_clusters()
    reference = scores.fit_relative(train, labels, 1)
    means = np.stack([train.features[labels == number].mean(axis=0) for number in (0, 2)])
    np.testing.assert_allclose(reference["means"], means, rtol=1e-5)
    within = train.features - means[labels // 2]
    precision = LedoitWolf(assume_centered=True).fit(within.astype(np.float64)).precision_
    np.testing.assert_allclose(reference["precision"], precision, rtol=1e-4)
    photo = np.array([1.0, 2.0, -1.0, 0.5])
    nearest = min(distance.mahalanobis(photo, mean, precision) ** 2 for mean in means)
    assert scores.mahalanobis(features(photo), reference)[0] == pytest.approx(nearest, rel=1e-3)
    overall = LedoitWolf().fit(train.features.astype(np.float64))
    far = distance.mahalanobis(photo, overall.location_, overall.precision_) ** 2
    assert scores.relative_mahalanobis(features(photo), reference)[0] == pytest.approx(nearest - far, rel=1e-3)


def test_fewer_photos_than_features_have_a_covariance():
    train, labels = two_clusters(n_features=40)
    for fit in (scores.fit_gaussians, scores.fit_relative):
        assert all(np.isfinite(values).all() for values in fit(train, labels, 1).values())


@pytest.mark.parametrize("name", SCORES)
def test_scores_take_no_photo_and_leave_their_input_as_it_is(name):
    train, labels = two_clusters()
    before = train.features.copy()
    reference = SCORES[name].fit(train, labels, 2)
    assert SCORES[name].score(train.select(np.zeros(12, bool)), reference).shape == (0,)
    assert SCORES[name].score(train, reference).shape == (12,)
    np.testing.assert_array_equal(train.features, before)


@pytest.mark.parametrize("name", ["neighbours", "local_outlier_factor", "mahalanobis"])
def test_a_photo_apart_from_all_classes_is_more_novel(name):
    train, labels = two_clusters()
    known, unknown = features((0, 0, 0, 0), (10, 0, 0, 0)), features((5, 40, 0, 0))
    reference = SCORES[name].fit(train, labels, 1)
    assert SCORES[name].score(unknown, reference) > SCORES[name].score(known, reference)[1]
