import numpy as np
import pytest

from stages.scoring.open_set import separation


def test_figures_by_hand():
    # 2.5 is beyond two of three known ones and 4 beyond all: 5 of 6 pairs. To accept all three, 2.5 is accepted too.
    assert separation(np.array([1.0, 3, 2]), np.array([4.0, 2.5])) == pytest.approx((5 / 6, 0.5))
    assert separation(np.array([1.0, 2]), np.array([3.0])) == (1, 0)
    assert separation(np.array([3.0]), np.array([1.0, 2])) == (0, 1)


def test_equal_scores_tell_nothing():
    assert separation(np.zeros(4), np.zeros(3)) == (0.5, 1)


def test_one_of_twenty_known_photos_may_be_refused_and_no_more():
    known = np.arange(20.0)
    assert separation(known, np.array([18.5])).fpr95 == 0
    assert separation(known, np.array([17.5])).fpr95 == 1
