import numpy as np
import pytest

from stages.probe import outliers


def test_distances_by_hand():
    train = np.array([[1, 0], [0, 2], [3, 3]], np.float32)
    half = 1 - np.sqrt(0.5)
    own, others = outliers.distances(train, np.array([[5, 0], [-1, 0]], np.float32), 2)
    assert own.tolist() == pytest.approx([(half + 1) / 2, (half + 1) / 2, half], abs=1e-6)
    # The first points where the first of train does; the second away from it, at right angles to the second.
    assert others.tolist() == pytest.approx([half / 2, (1 + 1 + np.sqrt(0.5)) / 2], abs=1e-6)


def test_fewer_photos_than_neighbours():
    own, others = outliers.distances(np.array([[1.0, 0], [0, 1]]), np.zeros((0, 2)), 5)
    assert own.tolist() == pytest.approx([1, 1]) and others.shape == (0,)
    own, others = outliers.distances(np.array([[1.0, 0]]), np.array([[0.0, 1]]), 5)
    assert own.tolist() == [0] and others.tolist() == pytest.approx([1])


def test_the_fence_by_hand():
    # Quartiles of 0..4 are 1 and 3.
    assert outliers.outlier_threshold(np.array([4.0, 0, 1, 2, 3])) == 9
