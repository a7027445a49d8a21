import numpy as np
import pytest

from stages.reporting import flags

# A hundred photos of ten classes; the commonest class has 20 of them.
LABELS = np.array([0] * 20 + [n % 8 + 1 for n in range(80)])
GROUPS = [str(n) for n in range(100)]


def right(n_right):
    """Right on so many photos, spread evenly."""
    return np.arange(100) * 37 % 100 < n_right


def kinds(models, probes):
    found = flags.flags(models, probes, LABELS, GROUPS)
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
    assert [f.kind for f in flags.flags(models, models, LABELS[few], GROUPS[:10])].count("far_below_best") == 0


def test_figures_and_words():
    (flag,) = flags.flags({"a": right(40)}, {"a": right(50)}, LABELS, GROUPS)
    assert flag.gap.mean == pytest.approx(-0.1) and flag.gap.low < -0.1 < flag.gap.high < 0
    assert flags.sentence(flag).startswith("a is no better than a linear classifier on the network as it was before")
    assert "-10.0 points of val accuracy (-16" in flags.sentence(flag)


def test_without_val_photos_nothing_is_said():
    empty = np.zeros(0, bool)
    assert flags.flags({"a": empty}, {"a": empty}, np.zeros(0, np.int64), []) == []
