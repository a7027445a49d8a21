import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.core import atomic
from stages.core.errors import UserError
from stages.ensemble import weighting
from stages.ensemble.settings import EnsembleSettings
from stages.ensemble.weighting import fit_weights
from stages.scoring.probabilities import normalised
from stages.scoring.weighted_ensemble import WeightedEnsemble, weighted_average


def test_the_weighted_average_by_hand():
    tables = np.array([[[0.9, 0.1], [0.5, 0.5]], [[0.1, 0.9], [0.3, 0.7]]])
    before = tables.copy()
    np.testing.assert_allclose(weighted_average(tables, np.array([0.75, 0.25])), [[0.7, 0.3], [0.45, 0.55]])
    np.testing.assert_array_equal(tables, before)
    np.testing.assert_array_equal(weighted_average(tables, np.array([0.0, 1.0])), tables[1])
    assert weighted_average(np.zeros((2, 0, 3)), np.array([0.5, 0.5])).shape == (0, 3)


def test_weights_are_those_that_calculus_gives():
    # Model A gives the true class 0.8, 0.8, 0.2 and B 0.2, 0.2, 0.8: with weight w for A the loss is
    # -2 ln(0.2 + 0.6 w) - ln(0.8 - 0.6 w), whose derivative is zero at w = 7/9.
    truth = np.array([[0.8, 0.8, 0.2], [0.2, 0.2, 0.8]])
    tables = np.stack([truth, 1 - truth], axis=-1)
    fitted = fit_weights(tables, np.zeros(3, dtype=int), 3)
    assert fitted.reason == ""
    np.testing.assert_allclose(fitted.values, [7 / 9, 2 / 9], atol=1e-4)


def test_a_harmful_model_gets_weight_zero_and_none_is_negative():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    good = normalised(rng.random((200, 3)) * 0.3 + np.eye(3)[labels])
    bad = normalised(rng.random((200, 3)) * 0.3 + np.eye(3)[(labels + 1) % 3])
    fitted = fit_weights(np.stack([bad, good, bad]), labels, 1).values
    np.testing.assert_array_equal(fitted, [0, 1, 0])
    assert (fitted >= 0).all() and fitted.sum() == pytest.approx(1, abs=1e-12)


def test_weights_do_not_depend_on_the_order_of_photos_or_models():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 4, 60)
    tables = normalised((rng.random((3, 60, 4)) + np.eye(4)[labels] * [[[0.2]], [[0.5]], [[0.9]]]).reshape(-1, 4))
    tables = tables.reshape(3, 60, 4)
    fitted = fit_weights(tables, labels, 1).values
    order = rng.permutation(60)
    np.testing.assert_allclose(fit_weights(tables[::-1, order], labels[order], 1).values[::-1], fitted, atol=1e-3)


def test_zero_probability_of_the_true_class_keeps_the_loss_finite():
    tables = np.array([[[0.0, 1.0]] * 4, [[1.0, 0.0]] * 4])
    np.testing.assert_allclose(fit_weights(tables, np.zeros(4, dtype=int), 1).values, [0, 1], atol=1e-6)


@pytest.mark.parametrize("n_photos", [0, 1, 29])
def test_too_few_photos_give_equal_weights_and_the_reason(n_photos):
    fitted = fit_weights(np.full((4, n_photos, 2), 0.5), np.zeros(n_photos, dtype=int), 30)
    np.testing.assert_array_equal(fitted.values, [0.25] * 4)
    assert fitted.reason == f"equal weights: {n_photos} val photos, 30 needed to fit any"


def test_one_model_has_all_the_weight():
    fitted = fit_weights(np.full((1, 50, 2), 0.5), np.zeros(50, dtype=int), 30)
    assert fitted.values.tolist() == [1.0] and fitted.reason == ""


@pytest.mark.parametrize("seed", range(5))
def test_weights_meet_the_conditions_of_the_optimum(seed):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, 90)
    rows = np.exp(rng.normal(size=(4, 90, 10)) + np.eye(10)[labels] * rng.uniform(0, 3, (4, 1, 1)))
    tables = rows / rows.sum(axis=2, keepdims=True)
    weights = fit_weights(tables, labels, 30).values
    true_probabilities = tables[:, np.arange(90), labels]
    # Karush-Kuhn-Tucker: the mean ratio of a model to the average is 1 where it has weight, else at most 1.
    ratio = (true_probabilities / (weights @ true_probabilities)).mean(axis=1)
    assert (ratio < 1 + 1e-4).all()
    np.testing.assert_allclose(ratio[weights > 1e-3], 1, atol=1e-3)


def tables_of(seed, n_photos=60, n_models=3, n_classes=4):
    """Random probabilities (M, N, C) of models of different skill, and the labels."""
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
    fitted = fit_weights(tables, labels, 1)
    steps = np.arange(0, 1.001, 0.02)
    grid = [(a, b, 1 - a - b) for a in steps for b in steps if a + b <= 1]
    best = min(log_loss(tables, labels, weights) for weights in grid)
    assert log_loss(tables, labels, fitted.values) <= best and 0 <= fitted.gap < 1e-4
    equal = np.full(3, 1 / 3)
    true_probabilities = tables[:, np.arange(60), labels]
    assert weighting._optimality_gap(equal, true_probabilities) >= log_loss(tables, labels, equal) - best


@given(seed=st.integers(0, 10_000), method=st.sampled_from(["log_loss", "greedy"]))
@settings(max_examples=40, deadline=None)
def test_fitted_weights_sum_to_one_and_beat_simple_choices_on_their_own_data(seed, method):
    tables, labels = tables_of(seed, n_photos=20)
    fitted = fit_weights(tables, labels, 1, method).values
    assert (fitted >= 0).all() and fitted.sum() == pytest.approx(1)
    simple = np.eye(3) if method == "greedy" else np.vstack([np.eye(3), np.full(3, 1 / 3)])
    # Greedy weights are multiples of 0.01, so they can miss the optimum slightly.
    slack = 1e-9 if method == "log_loss" else 1e-3
    assert log_loss(tables, labels, fitted) <= min(log_loss(tables, labels, one) for one in simple) + slack


def test_greedy_weights_by_hand():
    # Model A gives the true class 0.8, 0.8, 0.2 and B the rest: 7/9 for A is optimal, as above.
    truth = np.array([[0.8, 0.8, 0.2], [0.2, 0.2, 0.8]])
    fitted = fit_weights(np.stack([truth, 1 - truth], axis=-1), np.zeros(3, dtype=int), 1, "greedy")
    np.testing.assert_allclose(fitted.values, [7 / 9, 2 / 9], atol=0.011)
    assert fit_weights(np.stack([truth, 1 - truth], axis=-1), np.zeros(3, int), 1, "equal").values.tolist() == [
        0.5,
        0.5,
    ]


def test_the_average_is_calibrated_by_the_temperature():
    tables = np.array([[[0.8, 0.2]], [[0.4, 0.6]]])
    np.testing.assert_allclose(WeightedEnsemble(np.array([0.5, 0.5]), 0.5)(tables), [[0.36 / 0.52, 0.16 / 0.52]])


def test_weights_for_a_photo_are_fitted_without_its_group(monkeypatch):
    tables, labels = tables_of(0, n_photos=12)
    groups = list("aabbccddeeff")
    fitted_on = []

    def spy(probabilities, *rest):
        fitted_on.append({tuple(row) for row in probabilities[0]})
        return real(probabilities, *rest)

    real = weighting.fit
    monkeypatch.setattr(weighting, "fit", spy)
    predicted = weighting.cross_fitted(tables, labels, groups, EnsembleSettings(min_val=1), 0.0)
    assert len(fitted_on) == 5 and (predicted.sum(axis=1) > 0.999).all()
    for known in fitted_on:
        left_out = {group for group, row in zip(groups, tables[0]) if tuple(row) not in known}
        assert all(tuple(row) not in known for group, row in zip(groups, tables[0]) if group in left_out)
    assert sum(12 - len(known) for known in fitted_on) == 12


def test_shrinkage_is_large_for_noise_and_zero_for_a_clear_best_model():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 30)
    similar = np.exp(rng.normal(size=(3, 30, 4)) + 2 * np.eye(4)[labels])
    similar /= similar.sum(axis=2, keepdims=True)
    groups = list(map(str, range(30)))
    assert weighting.choose_shrinkage(similar, labels, groups, EnsembleSettings()) > 0
    clear = np.stack([np.full((30, 4), 0.1) + 0.6 * np.eye(4)[labels], *[np.full((30, 4), 0.25)] * 2])
    assert weighting.choose_shrinkage(clear, labels, groups, EnsembleSettings(calibrate=False)) == 0
    assert weighting.choose_shrinkage(clear, labels, groups, EnsembleSettings(shrinkage=0.3)) == 0.3
    assert weighting.choose_shrinkage(clear[:, :5], labels[:5], groups[:5], EnsembleSettings()) == 1


def test_shrinkage_mixes_in_equal_weights():
    tables, labels = tables_of(1)
    fitted = fit_weights(tables, labels, 1).values
    ensemble, before = weighting.fit(tables, labels, EnsembleSettings(calibrate=False), 0.5)
    np.testing.assert_allclose(ensemble.weights, fitted / 2 + 1 / 6)
    np.testing.assert_array_equal(before.values, fitted)


def test_without_a_threshold_that_keeps_the_risk_all_answers_are_unsure(tmp_path):
    record = {"classes": ["a"], "weights": {"m": 1}, "temperature": 1.0, "prior": {"a": 1}}
    for abstain, expected in ((None, 0), ({"threshold": None}, np.inf), ({"threshold": 0.5}, 0.5)):
        atomic.write_json(tmp_path / "e.json", record | {"abstain": abstain})
        assert weighting.read(tmp_path / "e.json", ["a"]).threshold == expected
    # An ensemble that was written before.
    atomic.write_json(tmp_path / "e.json", record)
    assert weighting.read(tmp_path / "e.json", ["a"]).threshold == 0


def test_the_record_is_read_back_and_other_classes_are_rejected(tmp_path):
    path = tmp_path / "ensemble.json"
    record = {
        "weights": {"a": 0.25, "b": 0.75},
        "temperature": 0.5,
        "classes": ["x", "y"],
        "prior": {"y": 0.125, "x": 0.875},
    }
    path.write_text(json.dumps(record))
    saved = weighting.read(path, ["x", "y"])
    assert saved.weights == {"a": 0.25, "b": 0.75} and saved.temperature == 0.5
    assert saved.prior.tolist() == [0.875, 0.125]
    with pytest.raises(UserError, match="expected the classes"):
        weighting.read(path, ["y", "x"])
    with pytest.raises(UserError, match="dvc repro"):
        weighting.read(tmp_path / "none.json", ["x", "y"])
