import numpy as np
import pytest

from stages.scoring import calibration

ROWS = np.array([[0.9, 0.1], [0.7, 0.3], [0.6, 0.4], [0.2, 0.8]])


def test_the_expected_error_by_hand():
    # Confidences 0.9, 0.7, 0.6, 0.8 lie in bins of their own; the first and the last answer are right.
    labels = np.array([0, 1, 1, 1])
    assert calibration.expected_calibration_error(labels, ROWS) == pytest.approx((0.1 + 0.7 + 0.6 + 0.2) / 4)
    # Two photos of one bin are averaged before they are compared.
    twice = np.array([[0.9, 0.1], [0.9, 0.1]])
    assert calibration.expected_calibration_error(np.array([0, 1]), twice) == pytest.approx(0.4)


def test_the_table_behind_it():
    found = calibration.reliability(np.array([0, 1, 0]), np.array([[1.0, 0.0], [0.98, 0.02], [0.5, 0.5]]))
    assert found["photos"].tolist() == [1, 2] and found["accuracy"].tolist() == [1.0, 0.5]
    assert found["confidence"].tolist() == [0.5, 0.99]


def test_few_photos_have_a_calibration_error_by_chance_alone():
    few, many = np.tile([[0.8, 0.2]], (10, 1)), np.tile([[0.8, 0.2]], (10_000, 1))
    # The mean distance of a share of 10 trials at 0.8 from 0.8 is 0.0966 (binomial).
    assert calibration.ece_if_calibrated(few) == pytest.approx(0.0966, abs=0.01)
    assert calibration.ece_if_calibrated(many) < 0.005
    assert calibration.ece_if_calibrated(few) == calibration.ece_if_calibrated(few)
