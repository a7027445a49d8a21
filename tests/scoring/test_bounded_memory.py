import numpy as np
import pytest

from stages.scoring import calibration, paired

RNG = np.random.default_rng(3)


@pytest.mark.parametrize("at_once", [1, 7 * 50, 10**9])
def test_an_interval_does_not_depend_on_the_number_of_draws_at_once(monkeypatch, at_once):
    differences, groups = RNG.integers(-1, 2, 61) * 0.7, np.arange(61) // 2
    expected = paired.paired_bootstrap(differences, groups)
    monkeypatch.setattr(paired, "_MAX_DRAWN", at_once)
    assert paired.paired_bootstrap(differences, groups) == expected


@pytest.mark.parametrize("at_once", [1, 7 * 61, 10**9])
def test_the_error_if_calibrated_does_not_depend_on_the_number_of_draws_at_once(monkeypatch, at_once):
    probabilities = RNG.dirichlet(np.ones(4), 61)
    expected = calibration.ece_if_calibrated(probabilities)
    monkeypatch.setattr(calibration, "_MAX_DRAWN", at_once)
    assert calibration.ece_if_calibrated(probabilities) == pytest.approx(expected, rel=1e-12)
