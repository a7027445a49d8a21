import numpy as np
import pytest

from stages.scoring import temperature_scaling

ROWS = np.array([[0.9, 0.1], [0.7, 0.3], [0.6, 0.4], [0.2, 0.8]])


def test_tempering_by_hand():
    before = ROWS.copy()
    np.testing.assert_allclose(temperature_scaling.apply_temperature(ROWS, 1.0), ROWS)
    np.testing.assert_allclose(temperature_scaling.apply_temperature(ROWS, 0.5)[0], [0.81 / 0.82, 0.01 / 0.82])
    np.testing.assert_allclose(
        temperature_scaling.apply_temperature(ROWS, 2.0)[3], np.sqrt([0.2, 0.8]) / np.sqrt([0.2, 0.8]).sum()
    )
    np.testing.assert_array_equal(ROWS, before)
    assert temperature_scaling.apply_temperature(np.zeros((0, 3)), 0.5).shape == (0, 3)


def test_temperature_scaling_accepts_zero_and_keeps_the_order():
    found = temperature_scaling.apply_temperature(np.array([[1.0, 0.0, 0.0], [0.5, 0.3, 0.2]]), 0.1)
    assert np.isfinite(found).all() and found[1].argsort().tolist() == [2, 1, 0]


@pytest.mark.parametrize("truth", [0.5, 1.0, 3.0])
def test_the_temperature_that_spoiled_probabilities_is_found(truth):
    rng = np.random.default_rng(0)
    right = temperature_scaling.apply_temperature(np.exp(rng.normal(size=(4000, 5)) * 2), 1.0)
    labels = (right.cumsum(axis=1) > rng.random((4000, 1))).argmax(axis=1)
    spoiled = temperature_scaling.apply_temperature(right, 1 / truth)
    assert temperature_scaling.fit_temperature(spoiled, labels) == pytest.approx(truth, rel=0.06)


@pytest.mark.parametrize("n_photos", [8, 98])
def test_correct_predictions_alone_make_no_probability_one(n_photos):
    # Of n photos all right, n + 1 of n + 2 are believed to be.
    rows = np.tile([[0.9, 0.1], [0.1, 0.9]], (n_photos // 2, 1))
    found = temperature_scaling.fit_temperature(rows, np.array([0, 1] * (n_photos // 2)))
    wanted = (n_photos + 1) / (n_photos + 2)
    np.testing.assert_allclose(temperature_scaling.apply_temperature(rows, found)[0], [wanted, 1 - wanted], atol=1e-5)
