import json

import numpy as np
import pytest

from stages.audit import diagnostics
from stages.schemas import flags

# A hundred photos of nine classes; the most frequent class has 20 of them.
LABELS = np.array([0] * 20 + [n % 8 + 1 for n in range(80)])
GROUPS = [str(n) for n in range(100)]


def correct(n_correct):
    """Correct on `n_correct` photos, spread evenly."""
    return np.arange(100) * 37 % 100 < n_correct


def kinds(models, probes):
    return [(flag.model, flag.kind) for flag in diagnostics.weak_models(models, probes, LABELS, GROUPS)]


def test_good_models_are_not_flagged():
    assert kinds({"a": correct(85), "b": correct(79)}, {"a": correct(60), "b": correct(60)}) == []


def test_a_model_that_does_not_beat_its_probe_is_flagged():
    assert kinds({"a": correct(80), "b": correct(80)}, {"a": correct(80), "b": correct(79)}) == [
        ("a", "not_above_probe")
    ]


def test_a_task_that_model_and_probe_solve_is_not_flagged():
    assert kinds({"a": correct(100)}, {"a": correct(100)}) == []


def test_a_model_near_chance_and_far_below_the_best():
    weak = kinds({"a": correct(85), "b": correct(25)}, {"a": correct(60), "b": correct(20)})
    assert weak == [("b", "near_chance"), ("b", "far_below_best")]


def test_ten_points_below_the_best_are_flagged_if_the_interval_excludes_zero():
    probes = {"a": correct(50), "b": correct(50)}
    assert kinds({"a": correct(85), "b": correct(76)}, probes) == []
    assert kinds({"a": correct(85), "b": correct(75)}, probes) == [("b", "far_below_best")]
    few = np.arange(100) < 10
    models = {name: row[few] for name, row in {"a": correct(85), "b": correct(75)}.items()}
    assert [f.kind for f in diagnostics.weak_models(models, models, LABELS[few], GROUPS[:10])].count(
        "far_below_best"
    ) == 0


def test_figures_and_the_sentence():
    (flag,) = diagnostics.weak_models({"a": correct(40)}, {"a": correct(50)}, LABELS, GROUPS)
    assert flag.figures["mean"] == pytest.approx(-0.1) and flag.figures["low"] < -0.1 < flag.figures["high"] < 0
    assert flags.sentence(flag).startswith("a is no better than a linear classifier on the network before training")
    assert "-10.0 points of val accuracy (-16" in flags.sentence(flag) and flags.sentence(flag).endswith("n = 100)")


def test_a_training_that_never_beats_its_linear_head_is_flagged():
    curves = {"a": [1.5, 2.3, 1.5], "b": [1.5, 2.3, 1.25], "head_alone": [1.5], "c": [1.0, 1.25]}
    flagged = diagnostics.not_improved(curves)
    assert [(flag.model, flag.kind, flag.figures) for flag in flagged] == [
        ("a", "no_gain_over_head", {"before": 1.5, "least": 1.5}),
        ("c", "no_gain_over_head", {"before": 1.0, "least": 1.25}),
    ]
    assert flags.sentence(flagged[1]) == (
        "c never beat the linear head that its training started from: val log loss 1.000 before training, 1.250 at "
        "best after"
    )


def test_flags_are_written_and_read_back():
    flagged = diagnostics.not_improved({"b": [1.0, 1.25]}) + diagnostics.weak_models(
        {"a": correct(85), "b": correct(25)}, {"a": correct(60), "b": correct(30)}, LABELS, GROUPS
    )
    content = flags.to_json(flagged)
    assert list(content) == ["b"]
    assert list(content["b"]) == ["no_gain_over_head", "not_above_probe", "near_chance", "far_below_best"]
    assert flags.from_json(json.loads(json.dumps(content))) == flagged
    assert flags.to_json([]) == {} and flags.from_json({}) == []


def test_without_val_photos_nothing_is_flagged():
    empty = np.zeros(0, bool)
    assert diagnostics.weak_models({"a": empty}, {"a": empty}, np.zeros(0, np.int64), []) == []
