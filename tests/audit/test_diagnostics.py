import json

import numpy as np
import pytest

from stages.audit import diagnostics
from stages.schemas import flags

# A hundred photos of ten classes; the commonest class has 20 of them.
LABELS = np.array([0] * 20 + [n % 8 + 1 for n in range(80)])
GROUPS = [str(n) for n in range(100)]


def right(n_right):
    """Right on so many photos, spread evenly."""
    return np.arange(100) * 37 % 100 < n_right


def kinds(models, probes):
    found = diagnostics.weak_models(models, probes, LABELS, GROUPS)
    return [(flag.model, flag.kind) for flag in found]


def test_sound_models_are_left_alone():
    assert kinds({"a": right(85), "b": right(79)}, {"a": right(60), "b": right(60)}) == []


def test_a_model_that_does_not_beat_its_probe():
    assert kinds({"a": right(80), "b": right(80)}, {"a": right(80), "b": right(79)}) == [("a", "not_above_probe")]


def test_a_task_that_both_solve_is_no_fault():
    assert kinds({"a": right(100)}, {"a": right(100)}) == []


def test_a_model_near_chance_and_far_below_the_best():
    found = kinds({"a": right(85), "b": right(25)}, {"a": right(60), "b": right(20)})
    assert found == [("b", "near_chance"), ("b", "far_below_best")]


def test_ten_points_below_the_best_are_far_if_chance_does_not_explain_them():
    probes = {"a": right(50), "b": right(50)}
    assert kinds({"a": right(85), "b": right(76)}, probes) == []
    assert kinds({"a": right(85), "b": right(75)}, probes) == [("b", "far_below_best")]
    few = np.arange(100) < 10
    models = {name: row[few] for name, row in {"a": right(85), "b": right(75)}.items()}
    assert [f.kind for f in diagnostics.weak_models(models, models, LABELS[few], GROUPS[:10])].count(
        "far_below_best"
    ) == 0


def test_figures_and_words():
    (flag,) = diagnostics.weak_models({"a": right(40)}, {"a": right(50)}, LABELS, GROUPS)
    assert flag.figures["mean"] == pytest.approx(-0.1) and flag.figures["low"] < -0.1 < flag.figures["high"] < 0
    assert flags.sentence(flag).startswith("a is no better than a linear classifier on the network as it was before")
    assert "-10.0 points of val accuracy (-16" in flags.sentence(flag) and flags.sentence(flag).endswith("n = 100)")


def test_a_training_that_never_beats_its_linear_head():
    curves = {"a": [1.5, 2.3, 1.5], "b": [1.5, 2.3, 1.25], "head_alone": [1.5], "c": [1.0, 1.25]}
    found = diagnostics.not_improved(curves)
    assert [(flag.model, flag.kind, flag.figures) for flag in found] == [
        ("a", "head_kept", {"before": 1.5, "least": 1.5}),
        ("c", "head_kept", {"before": 1.0, "least": 1.25}),
    ]
    assert flags.sentence(found[1]) == (
        "c never beat the linear head that its training began with: val log loss 1.000 before training, 1.250 at best "
        "after"
    )


def test_metrics_hold_all_of_it():
    found = diagnostics.not_improved({"b": [1.0, 1.25]}) + diagnostics.weak_models(
        {"a": right(85), "b": right(25)}, {"a": right(60), "b": right(30)}, LABELS, GROUPS
    )
    content = flags.as_metrics(found)
    assert list(content) == ["b"]
    assert list(content["b"]) == ["head_kept", "not_above_probe", "near_chance", "far_below_best"]
    assert flags.from_metrics(json.loads(json.dumps(content))) == found
    assert flags.as_metrics([]) == {} and flags.from_metrics({}) == []


def test_without_val_photos_nothing_is_said():
    empty = np.zeros(0, bool)
    assert diagnostics.weak_models({"a": empty}, {"a": empty}, np.zeros(0, np.int64), []) == []
