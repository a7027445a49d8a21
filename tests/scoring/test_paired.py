import numpy as np
import pytest
from scipy.stats import bootstrap

from stages.core.errors import UserError
from stages.scoring import paired


def test_the_mean_and_an_interval_around_it():
    differences = np.array([1.0] * 30 + [0.0] * 60 + [-1.0] * 10)
    found = paired.paired_bootstrap(differences, np.arange(100))
    assert found.mean == pytest.approx(0.2)
    # The mean of 100 such draws has a standard error of sqrt((0.4 - 0.04) / 100) = 0.06.
    assert found.low == pytest.approx(0.2 - 1.96 * 0.06, abs=0.02)
    assert found.high == pytest.approx(0.2 + 1.96 * 0.06, abs=0.02)


def test_photos_of_one_group_are_drawn_together():
    differences = np.repeat([1.0, -1.0], 50)
    apart = paired.paired_bootstrap(differences, np.arange(100))
    together = paired.paired_bootstrap(differences, differences)
    assert together.low == -1 and together.high == 1 and apart.high < 0.3


def test_equal_predictions_have_a_difference_of_zero_without_an_interval():
    assert paired.paired_bootstrap(np.zeros(5), np.array(list("abcde"))) == (0, 0, 0)


def test_the_same_photos_give_the_same_interval():
    differences = np.random.default_rng(0).normal(size=40)
    assert paired.paired_bootstrap(differences, np.arange(40)) == paired.paired_bootstrap(differences, np.arange(40))


def test_no_photo_is_an_error():
    with pytest.raises(UserError, match="found none"):
        paired.paired_bootstrap(np.zeros(0), np.zeros(0))


def test_the_interval_is_that_of_scipy_over_groups_of_unequal_size():
    groups = np.repeat(np.arange(9), np.arange(1, 10))
    differences = np.random.default_rng(0).normal(size=len(groups))
    sums, sizes = np.bincount(groups, differences), np.bincount(groups).astype(float)
    mean = lambda total, size, axis=-1: total.sum(axis=axis) / size.sum(axis=axis)  # noqa: E731
    rng, options = np.random.default_rng(0), {"paired": True, "vectorized": True, "method": "percentile"}
    expected = bootstrap((sums, sizes), mean, n_resamples=10_000, rng=rng, **options).confidence_interval
    found = paired.paired_bootstrap(differences, groups)
    np.testing.assert_allclose((found.low, found.high), expected, rtol=1e-12)


def test_a_single_group_has_an_interval_without_width():
    assert paired.paired_bootstrap(np.array([1.0, 0.0]), np.array(["a", "a"])) == (0.5, 0.5, 0.5)
