import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.ensemble import weighting as blending
from stages.ensemble.settings import EnsembleSettings
from stages.ensemble.weighting import WeightedEnsemble, fit_weights, weighted_average
from stages.scoring.probabilities import normalised


def test_blend_is_the_weighted_mean():
    tables = np.array([[[0.9, 0.1], [0.5, 0.5]], [[0.1, 0.9], [0.3, 0.7]]])
    before = tables.copy()
    np.testing.assert_allclose(weighted_average(tables, np.array([0.75, 0.25])), [[0.7, 0.3], [0.45, 0.55]])
    np.testing.assert_array_equal(tables, before)
    np.testing.assert_array_equal(weighted_average(tables, np.array([0.0, 1.0])), tables[1])
    assert weighted_average(np.zeros((2, 0, 3)), np.array([0.5, 0.5])).shape == (0, 3)


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


def tables_of(seed, n_photos=60, n_models=3, n_classes=4):
    """Random answers (M, N, C) of models of unlike skill, and the labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes, n_photos)
    skill = rng.uniform(0, 3, (n_models, 1, 1))
    rows = np.exp(rng.normal(size=(n_models, n_photos, n_classes)) + np.eye(n_classes)[labels] * skill)
    return rows / rows.sum(axis=2, keepdims=True), labels


def log_loss(tables, labels, weights):
    return -np.log(np.asarray(weights) @ tables[:, np.arange(len(labels)), labels]).mean()


@pytest.mark.parametrize("seed", range(3))
def test_no_point_of_a_fine_grid_is_better_and_the_gap_bounds_it(seed):
    tables, labels = tables_of(seed)
    found = fit_weights(tables, labels, 1)
    steps = np.arange(0, 1.001, 0.02)
    grid = [(a, b, 1 - a - b) for a in steps for b in steps if a + b <= 1]
    best = min(log_loss(tables, labels, weights) for weights in grid)
    assert log_loss(tables, labels, found.values) <= best and 0 <= found.gap < 1e-4
    equal = np.full(3, 1 / 3)
    of_truth = tables[:, np.arange(60), labels]
    assert blending._optimality_gap(equal, of_truth) >= log_loss(tables, labels, equal) - best


@given(seed=st.integers(0, 10_000), method=st.sampled_from(["log_loss", "greedy"]))
@settings(max_examples=40, deadline=None)
def test_fitted_weights_are_weights_and_lose_to_no_simple_choice_on_what_they_were_fitted_to(seed, method):
    tables, labels = tables_of(seed, n_photos=20)
    found = fit_weights(tables, labels, 1, method).values
    assert (found >= 0).all() and found.sum() == pytest.approx(1)
    simple = np.eye(3) if method == "greedy" else np.vstack([np.eye(3), np.full(3, 1 / 3)])
    # Greedy picks are whole hundredths, so they may miss the best by a little.
    slack = 1e-9 if method == "log_loss" else 1e-3
    assert log_loss(tables, labels, found) <= min(log_loss(tables, labels, one) for one in simple) + slack


def test_greedy_picks_by_hand():
    # Of the true class A says 0.8, 0.8, 0.2 and B the rest: 7/9 to A is best, as calculus says above.
    truth = np.array([[0.8, 0.8, 0.2], [0.2, 0.2, 0.8]])
    found = fit_weights(np.stack([truth, 1 - truth], axis=-1), np.zeros(3, dtype=int), 1, "greedy")
    np.testing.assert_allclose(found.values, [7 / 9, 2 / 9], atol=0.011)
    assert fit_weights(np.stack([truth, 1 - truth], axis=-1), np.zeros(3, int), 1, "equal").values.tolist() == [
        0.5,
        0.5,
    ]


def test_a_mix_blends_and_then_tempers():
    tables = np.array([[[0.8, 0.2]], [[0.4, 0.6]]])
    np.testing.assert_allclose(WeightedEnsemble(np.array([0.5, 0.5]), 0.5)(tables), [[0.36 / 0.52, 0.16 / 0.52]])


def test_no_photo_is_told_by_weights_that_saw_its_group(monkeypatch):
    tables, labels = tables_of(0, n_photos=12)
    groups = list("aabbccddeeff")
    seen = []

    def spy(probabilities, *rest):
        seen.append({tuple(row) for row in probabilities[0]})
        return real(probabilities, *rest)

    real = blending.fit
    monkeypatch.setattr(blending, "fit", spy)
    found = blending.cross_fitted(tables, labels, groups, EnsembleSettings(min_val=1), 0.0)
    assert len(seen) == 5 and (found.sum(axis=1) > 0.999).all()
    for known in seen:
        left_out = {group for group, row in zip(groups, tables[0]) if tuple(row) not in known}
        assert all(tuple(row) not in known for group, row in zip(groups, tables[0]) if group in left_out)
    assert sum(12 - len(known) for known in seen) == 12


def test_noise_is_shrunk_and_a_clear_best_model_is_not():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 30)
    alike = np.exp(rng.normal(size=(3, 30, 4)) + 2 * np.eye(4)[labels])
    alike /= alike.sum(axis=2, keepdims=True)
    groups = list(map(str, range(30)))
    assert blending.choose_shrinkage(alike, labels, groups, EnsembleSettings()) > 0
    clear = np.stack([np.full((30, 4), 0.1) + 0.6 * np.eye(4)[labels], *[np.full((30, 4), 0.25)] * 2])
    assert blending.choose_shrinkage(clear, labels, groups, EnsembleSettings(calibrate=False)) == 0
    assert blending.choose_shrinkage(clear, labels, groups, EnsembleSettings(shrinkage=0.3)) == 0.3
    assert blending.choose_shrinkage(clear[:, :5], labels[:5], groups[:5], EnsembleSettings()) == 1


def test_shares_of_equal_weights_are_mixed_in():
    tables, labels = tables_of(1)
    fitted = fit_weights(tables, labels, 1).values
    mix, told = blending.fit(tables, labels, EnsembleSettings(calibrate=False), 0.5)
    np.testing.assert_allclose(mix.weights, fitted / 2 + 1 / 6)
    np.testing.assert_array_equal(told.values, fitted)


def test_the_record_is_read_back_and_that_of_other_classes_refused(tmp_path):
    path = tmp_path / "ensemble.json"
    path.write_text(json.dumps({"weights": {"a": 0.25, "b": 0.75}, "temperature": 0.5, "classes": ["x", "y"]}))
    assert blending.read(path, ["x", "y"]) == ({"a": 0.25, "b": 0.75}, 0.5)
    with pytest.raises(ValueError, match="expected the classes"):
        blending.read(path, ["y", "x"])
    with pytest.raises(FileNotFoundError, match="dvc repro"):
        blending.read(tmp_path / "none.json", ["x", "y"])
