import math

import numpy as np
import pytest

from stages.scoring.probabilities import MIN_PROBABILITY, log_loss, negative_log_likelihood, normalised, safe_log


def test_normalised_rows_sum_to_one():
    rows = normalised(np.array([[1, 3], [2, 2]], dtype=np.float32))
    np.testing.assert_array_equal(rows, [[0.25, 0.75], [0.5, 0.5]])
    assert rows.dtype == np.float64


def test_classes_that_test_lacks_do_not_break_the_log_loss():
    assert log_loss(np.array([2]), np.array([[0.25, 0.25, 0.5]])) == pytest.approx(math.log(2))


def test_each_row_has_the_loss_of_its_true_class():
    probabilities = np.array([[0.25, 0.75], [0.5, 0.5], [1, 0], [0, 1]])
    before = probabilities.copy()
    losses = negative_log_likelihood(np.array([0, 1, 1, 1]), probabilities)
    np.testing.assert_allclose(losses, [math.log(4), math.log(2), -math.log(MIN_PROBABILITY), 0], atol=1e-15)
    np.testing.assert_array_equal(probabilities, before)
    assert negative_log_likelihood(np.empty(0, int), np.empty((0, 2))).shape == (0,)


def test_the_logarithm_of_an_impossible_class_is_finite():
    np.testing.assert_array_equal(safe_log(np.array([[0, 1]])), [[math.log(MIN_PROBABILITY), 0]])
