import math

import pytest

from stages.commands import reproduction
from stages.commands.reproduction import Figure


def run(**changes):
    """The state of a run: `detect` with metrics, one training, and a stage without outputs."""
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


def rows(before, after, match):
    return reproduction.table(before, after, match).set_index("stage").to_dict("index")


def test_equal_runs_have_the_same_bytes_everywhere():
    table = rows(run(), run(), "same")
    assert table["detect"] == {
        "outputs": 2,
        "same bytes": 2,
        "largest difference": "",
        "allowed": "0",
        "result": "same",
    }
    assert [row["result"] for row in table.values()] == ["same"] * 3 and table["bare"]["outputs"] == 0


def test_the_figure_with_the_largest_difference_is_named_and_decides():
    moved = {"m/detect.json": {"boxes": 203, "by": {"car": 0.49}}, "hashes": {"m/detect.json": "x"}}
    for match, result, allowed in (
        ("same", "differs", "0"),
        ("kernels", "differs", "0"),
        ("other", "within", "0.02"),
    ):
        table = rows(run(), run(**moved), match)
        assert table["detect"] == {
            "outputs": 2, "same bytes": 1, "largest difference": "m/detect.json.boxes: 200 to 203", "allowed": allowed,
            "result": result,
        }  # fmt: skip
        assert table["train@lite"]["result"] == "same"
    far = {"m/detect.json": {"boxes": 205, "by": {"car": 0.5}}, "hashes": {"m/detect.json": "x"}}
    assert rows(run(), run(**far), "other")["detect"]["result"] == "differs"


@pytest.mark.parametrize(("loss", "result"), [(0.34, "within"), (0.36, "differs")])
def test_trained_figures_have_a_larger_tolerance_on_another_cpu(loss, result):
    moved = {"m/train.json": {"loss": [0.5, loss], "best": "b"}, "hashes": {"m/train.json": "x"}}
    for match in ("other", "kernels"):
        table = rows(run(), run(**moved), match)["train@lite"]
        assert table["result"] == result and table["largest difference"] == f"m/train.json.loss[1]: 0.25 to {loss}"


def test_other_bytes_with_the_same_figures_differ_unless_the_kernels_do():
    other = run(hashes={"boxes.csv": "x"})
    assert rows(run(), other, "same")["detect"]["result"] == "differs"
    assert rows(run(), other, "kernels")["detect"]["result"] == "differs"
    assert rows(run(), other, "other")["detect"]["result"] == "within"


@pytest.mark.parametrize("other", [{}, None, {"boxes": "many", "by": []}, {"boxes": True, "by": {}}, []])
def test_a_missing_figure_differs_on_every_machine(other):
    after = run(hashes={"m/detect.json": "x"}, **{"m/detect.json": other})
    for match in ("same", "kernels", "other"):
        assert rows(run(), after, match)["detect"]["result"] == "differs"


def test_a_stage_that_did_not_run_differs():
    after = run()
    del after["lock"]["stages"]["train@lite"]
    table = rows(run(), after, "same")["train@lite"]
    assert table["same bytes"] == 0 and table["result"] == "differs"


def test_differences_are_shares_of_large_figures_and_absolute_for_small_ones():
    assert Figure("n", 200.0, 190.0).difference == 0.05 and Figure("n", 0.5, 0.25).difference == 0.25
    assert Figure("n", -4.0, -5.0).difference == 0.25 and math.isnan(Figure("n", 1.0, math.nan).difference)
    assert list(reproduction.figures({"a": [1, {"b": 2.5}], "c": True, "d": "x"}, {"a": [1]})) == [
        Figure("a[0]", 1.0, 1.0), Figure("a[1].b", 2.5, pytest.approx(math.nan, nan_ok=True)),
    ]  # fmt: skip
