import math

import pytest

from stages.commands import reproduction
from stages.commands.reproduction import Figure


def run(**changes):
    """Two stages: boxes with a figure beside it, and a training."""
    hashes = {"boxes.csv": "b", "m/detect.json": "d", "models/lite": "t", "m/train.json": "f"} | changes.pop(
        "hashes", {}
    )
    stages = {
        "detect": {"outs": [{"path": path, "md5": hashes[path]} for path in ("boxes.csv", "m/detect.json")]},
        "train@lite": {"outs": [{"path": path, "md5": hashes[path]} for path in ("models/lite", "m/train.json")]},
        "bare": {"cmd": "true"},
    }
    metrics = {"m/detect.json": {"boxes": 200, "by": {"car": 0.5}}, "m/train.json": {"loss": [0.5, 0.25], "best": "a"}}
    return {"lock": {"stages": stages}, "metrics": metrics | changes}


def rows(before, after, likeness):
    return reproduction.table(before, after, likeness).set_index("stage").to_dict("index")


def test_equal_runs_have_the_same_bytes_everywhere():
    found = rows(run(), run(), "same")
    assert found["detect"] == {"outputs": 2, "same bytes": 2, "moved most": "", "allowed": "0", "verdict": "same"}
    assert [row["verdict"] for row in found.values()] == ["same"] * 3 and found["bare"]["outputs"] == 0


def test_the_figure_that_moved_most_is_named_and_decides():
    moved = {"m/detect.json": {"boxes": 203, "by": {"car": 0.49}}, "hashes": {"m/detect.json": "x"}}
    for likeness, verdict, allowed in (
        ("same", "differs", "0"),
        ("kernels", "differs", "0"),
        ("other", "within", "0.02"),
    ):
        found = rows(run(), run(**moved), likeness)
        assert found["detect"] == {
            "outputs": 2, "same bytes": 1, "moved most": "m/detect.json.boxes: 200 to 203", "allowed": allowed,
            "verdict": verdict,
        }  # fmt: skip
        assert found["train@lite"]["verdict"] == "same"
    far = {"m/detect.json": {"boxes": 205, "by": {"car": 0.5}}, "hashes": {"m/detect.json": "x"}}
    assert rows(run(), run(**far), "other")["detect"]["verdict"] == "differs"


@pytest.mark.parametrize(("loss", "verdict"), [(0.34, "within"), (0.36, "differs")])
def test_trained_figures_may_move_further_on_another_cpu(loss, verdict):
    moved = {"m/train.json": {"loss": [0.5, loss], "best": "b"}, "hashes": {"m/train.json": "x"}}
    for likeness in ("other", "kernels"):
        found = rows(run(), run(**moved), likeness)["train@lite"]
        assert found["verdict"] == verdict and found["moved most"] == f"m/train.json.loss[1]: 0.25 to {loss}"


def test_other_bytes_with_the_same_figures_are_a_difference_unless_the_kernels_are_others():
    other = run(hashes={"boxes.csv": "x"})
    assert rows(run(), other, "same")["detect"]["verdict"] == "differs"
    assert rows(run(), other, "kernels")["detect"]["verdict"] == "differs"
    assert rows(run(), other, "other")["detect"]["verdict"] == "within"


@pytest.mark.parametrize("lost", [{}, None, {"boxes": "many", "by": []}, {"boxes": True, "by": {}}, []])
def test_a_figure_that_is_lost_differs_everywhere(lost):
    after = run(hashes={"m/detect.json": "x"}, **{"m/detect.json": lost})
    for likeness in ("same", "kernels", "other"):
        assert rows(run(), after, likeness)["detect"]["verdict"] == "differs"


def test_a_stage_that_did_not_run_differs():
    after = run()
    del after["lock"]["stages"]["train@lite"]
    found = rows(run(), after, "same")["train@lite"]
    assert found["same bytes"] == 0 and found["verdict"] == "differs"


def test_differences_are_shares_of_large_figures_and_absolute_for_small_ones():
    assert Figure("n", 200.0, 190.0).difference == 0.05 and Figure("n", 0.5, 0.25).difference == 0.25
    assert Figure("n", -4.0, -5.0).difference == 0.25 and math.isnan(Figure("n", 1.0, math.nan).difference)
    assert list(reproduction.figures({"a": [1, {"b": 2.5}], "c": True, "d": "x"}, {"a": [1]})) == [
        Figure("a[0]", 1.0, 1.0), Figure("a[1].b", 2.5, pytest.approx(math.nan, nan_ok=True)),
    ]  # fmt: skip
