import math

import numpy as np
import pytest

from stages.scoring.probabilities import log_loss, normalised


def test_normalised_rows_sum_to_one():
    rows = normalised(np.array([[1, 3], [2, 2]], dtype=np.float32))
    np.testing.assert_array_equal(rows, [[0.25, 0.75], [0.5, 0.5]])
    assert rows.dtype == np.float64


def test_classes_that_test_lacks_do_not_break_the_log_loss():
    assert log_loss(np.array([2]), np.array([[0.25, 0.25, 0.5]])) == pytest.approx(math.log(2))
