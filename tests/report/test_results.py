import pytest

from stages.core.tables import TableError
from stages.report import reasons, results

MODEL = {"val": {"n": 5}, "test": {"n": 6}}


def blend(weights, fitted=None, shrink=0.0):
    metrics = {"test": {"n": 2}, "equal_weights": {"n": 3}, "best_single": {"name": "b", "n": 4}, "weights": weights}
    return metrics | {"fitted_weights": fitted or weights, "shrink": shrink}


@pytest.mark.parametrize(
    ("metrics", "note"),
    [
        (blend({"b": 0.25, "a": 0.75}), "weights fitted on val"),
        (
            blend({"b": 0.375, "a": 0.625}, {"b": 0.25, "a": 0.75}, 0.5),
            "weights fitted on val, 50% of the way to equal ones",
        ),
        (
            blend({"b": 0.5, "a": 0.5}, {"b": 1, "a": 0}, 1),
            "equal weights: fitted ones do no better on val, out of sample",
        ),
        (blend({"b": 0.5, "a": 0.5}), "weights not fitted: all equal"),
        (blend({"a": 1.0}), "of one model"),
    ],
)
def test_rows_of_the_table(metrics, note):
    weights = metrics["weights"]
    found = results.headline(metrics, dict.fromkeys(weights, MODEL))
    assert [row.name for row in found] == ["Ensemble", "Equal weights", "Best single model", *sorted(weights)]
    assert found[0].note == note
    assert [row.test["n"] for row in found[:3]] == [2, 3, 4]
    assert found[2].note == "b, by log loss on val"
    assert (found[3].weight, found[3].val["n"], found[3].test["n"]) == (weights["a"], 5, 6)


def test_weights_given_by_hand_have_a_row():
    found = results.headline(blend({"a": 1.0}) | {"hand": {"n": 9}}, {"a": MODEL})
    assert [(row.name, row.test["n"]) for row in found][2] == ("Weights given by hand", 9)


def test_views_are_listed_from_few_to_all():
    seen = {name: {"accuracy": 0.5, "log_loss": 1.0, "views": n} for n, name in enumerate(("all", "adaptive", "none"))}
    found = results.views({"b": MODEL, "a": {"tta": {"test": seen, "val": {}}}})
    assert [(row.model, row.views) for row in found] == [("a", 2), ("a", 1), ("a", 0)]


def test_no_best_single_model_without_val():
    metrics = {key: value for key, value in blend({"a": 1.0}).items() if key != "best_single"}
    found = results.headline(metrics, {"a": {"val": {"n": 0}, "test": {"n": 0}}})
    assert [row.name for row in found] == ["Ensemble", "Equal weights", "a"]


def test_unknown_reasons_are_refused():
    assert reasons.explain("truncated").startswith("The image begins well")
    with pytest.raises(TableError, match=r"expected one of the reasons missing, .* found 'brand_new'"):
        reasons.explain("brand_new")
