import numpy as np
import pytest

from stages.probe import outliers


def test_distances_by_hand():
    train = np.array([[1, 0], [0, 2], [3, 3]], np.float32)
    half = 1 - np.sqrt(0.5)
    within, between = outliers.distances(train, np.array([[5, 0], [-1, 0]], np.float32), 2)
    assert within.tolist() == pytest.approx([(half + 1) / 2, (half + 1) / 2, half], abs=1e-6)
    # The first row has the direction of the first of train; the second is opposite to it, orthogonal to the second.
    assert between.tolist() == pytest.approx([half / 2, (1 + 1 + np.sqrt(0.5)) / 2], abs=1e-6)


def test_fewer_photos_than_neighbours():
    within, between = outliers.distances(np.array([[1.0, 0], [0, 1]]), np.zeros((0, 2)), 5)
    assert within.tolist() == pytest.approx([1, 1]) and between.shape == (0,)
    within, between = outliers.distances(np.array([[1.0, 0]]), np.array([[0.0, 1]]), 5)
    assert within.tolist() == [0] and between.tolist() == pytest.approx([1])


def test_the_outlier_threshold_by_hand():
    # Quartiles of 0..4 are 1 and 3.
    assert outliers.outlier_threshold(np.array([4.0, 0, 1, 2, 3])) == 9
