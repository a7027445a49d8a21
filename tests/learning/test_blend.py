import numpy as np
import pytest

from stages.learning.blend import blend, fit_weights, normalised


def test_blend_is_the_weighted_mean():
    tables = np.array([[[0.9, 0.1], [0.5, 0.5]], [[0.1, 0.9], [0.3, 0.7]]])
    before = tables.copy()
    np.testing.assert_allclose(blend(tables, np.array([0.75, 0.25])), [[0.7, 0.3], [0.45, 0.55]])
    np.testing.assert_array_equal(tables, before)
    np.testing.assert_array_equal(blend(tables, np.array([0.0, 1.0])), tables[1])
    assert blend(np.zeros((2, 0, 3)), np.array([0.5, 0.5])).shape == (0, 3)


def test_normalised_rows_sum_to_one():
    rows = normalised(np.array([[1, 3], [2, 2]], dtype=np.float32))
    np.testing.assert_array_equal(rows, [[0.25, 0.75], [0.5, 0.5]])
    assert rows.dtype == np.float64


def test_weights_are_those_that_calculus_gives():
    # Of the true class model A says 0.8, 0.8, 0.2 and B 0.2, 0.2, 0.8: with weight w for A the loss is
    # -2 ln(0.2 + 0.6 w) - ln(0.8 - 0.6 w), whose derivative is zero at w = 7/9.
    truth = np.array([[0.8, 0.8, 0.2], [0.2, 0.2, 0.8]])
    tables = np.stack([truth, 1 - truth], axis=-1)
    found = fit_weights(tables, np.zeros(3, dtype=int), 3)
    assert found.reason == ""
    np.testing.assert_allclose(found.values, [7 / 9, 2 / 9], atol=1e-4)


def test_a_model_that_only_harms_gets_nothing_and_none_goes_below():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    good = normalised(rng.random((200, 3)) * 0.3 + np.eye(3)[labels])
    bad = normalised(rng.random((200, 3)) * 0.3 + np.eye(3)[(labels + 1) % 3])
    found = fit_weights(np.stack([bad, good, bad]), labels, 1).values
    np.testing.assert_array_equal(found, [0, 1, 0])
    assert (found >= 0).all() and found.sum() == pytest.approx(1, abs=1e-12)


def test_weights_do_not_depend_on_the_order_of_photos_or_models():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, 60)
    tables = normalised((rng.random((3, 60, 4)) + np.eye(4)[labels] * [[[0.2]], [[0.5]], [[0.9]]]).reshape(-1, 4))
    tables = tables.reshape(3, 60, 4)
    found = fit_weights(tables, labels, 1).values
    order = rng.permutation(60)
    np.testing.assert_allclose(fit_weights(tables[::-1, order], labels[order], 1).values[::-1], found, atol=1e-3)


def test_zero_probabilities_of_the_truth_are_survived():
    tables = np.array([[[0.0, 1.0]] * 4, [[1.0, 0.0]] * 4])
    np.testing.assert_allclose(fit_weights(tables, np.zeros(4, dtype=int), 1).values, [0, 1], atol=1e-6)


@pytest.mark.parametrize("n_photos", [0, 1, 29])
def test_too_few_photos_give_equal_weights_and_say_so(n_photos):
    found = fit_weights(np.full((4, n_photos, 2), 0.5), np.zeros(n_photos, dtype=int), 30)
    np.testing.assert_array_equal(found.values, [0.25] * 4)
    assert found.reason == f"equal weights: {n_photos} val photos, 30 needed to fit any"


def test_one_model_has_all_the_weight():
    found = fit_weights(np.full((1, 50, 2), 0.5), np.zeros(50, dtype=int), 30)
    assert found.values.tolist() == [1.0] and found.reason == ""


@pytest.mark.parametrize("seed", range(5))
def test_weights_meet_the_conditions_of_the_optimum(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, 90)
    rows = np.exp(rng.normal(size=(4, 90, 10)) + np.eye(10)[labels] * rng.uniform(0, 3, (4, 1, 1)))
    tables = rows / rows.sum(axis=2, keepdims=True)
    weights = fit_weights(tables, labels, 30).values
    of_truth = tables[:, np.arange(90), labels]
    # Karush-Kuhn-Tucker: the mean ratio of a model to the blend is one where it has weight, else one at most.
    ratio = (of_truth / (weights @ of_truth)).mean(axis=1)
    assert (ratio < 1 + 1e-4).all()
    np.testing.assert_allclose(ratio[weights > 1e-3], 1, atol=1e-3)
