import pytest

from stages.core.errors import TableError
from stages.report import reasons, results

MODEL = {"val": {"n": 5}, "test": {"n": 6}}


def ensemble(weights, fitted=None, shrinkage=0.0):
    details = {"test": {"n": 2}, "equal_weights": {"n": 3}, "best_single": {"name": "b", "n": 4}, "weights": weights}
    return details | {"fitted_weights": fitted or weights, "shrinkage": shrinkage, "fitted_on": "val"}


@pytest.mark.parametrize(
    ("details", "note"),
    [
        (ensemble({"b": 0.25, "a": 0.75}), "weights fitted on val"),
        (
            ensemble({"b": 0.375, "a": 0.625}, {"b": 0.25, "a": 0.75}, 0.5),
            "weights fitted on val, shrinkage 50% towards equal weights",
        ),
        (
            ensemble({"b": 0.5, "a": 0.5}, {"b": 1, "a": 0}, 1),
            "equal weights: fitted weights are not better on val, cross-fitted",
        ),
        (ensemble({"b": 0.5, "a": 0.5}), "equal weights, not fitted"),
        (ensemble({"a": 1.0}), "one model"),
    ],
)
def test_rows_of_the_table(details, note):
    weights = details["weights"]
    rows = results.results_rows(details, dict.fromkeys(weights, MODEL))
    assert [row.name for row in rows] == ["Ensemble", "Equal weights", "Best single model", *sorted(weights)]
    assert rows[0].note == note
    assert [row.test["n"] for row in rows[:3]] == [2, 3, 4]
    assert rows[2].note == "b, calibrated; chosen by log loss on val"
    assert (rows[3].weight, rows[3].val["n"], rows[3].test["n"]) == (weights["a"], 5, 6)


def test_manual_weights_have_a_row():
    rows = results.results_rows(ensemble({"a": 1.0}) | {"manual_weights": {"n": 9}}, {"a": MODEL})
    assert [(row.name, row.test["n"]) for row in rows][2] == ("Manual weights", 9)


def test_tta_modes_are_listed_from_few_views_to_all():
    modes = {name: {"accuracy": 0.5, "log_loss": 1.0, "views": n} for n, name in enumerate(("all", "adaptive", "none"))}
    rows = results.tta_rows({"b": MODEL, "a": {"tta": {"test": modes, "val": {}}}})
    assert [(row.model, row.views) for row in rows] == [("a", 2), ("a", 1), ("a", 0)]


def test_no_best_single_model_without_val():
    details = {key: value for key, value in ensemble({"a": 1.0}).items() if key != "best_single"}
    rows = results.results_rows(details, {"a": {"val": {"n": 0}, "test": {"n": 0}}})
    assert [row.name for row in rows] == ["Ensemble", "Equal weights", "a"]


def test_unknown_reasons_are_an_error():
    assert reasons.explain("truncated").startswith("The image begins well")
    with pytest.raises(TableError, match=r"expected one of the reasons missing, .* found 'brand_new'"):
        reasons.explain("brand_new")


def test_notes_are_explained_one_by_one():
    assert reasons.explain_note("") == "" and "| `bad_colour_profile` |" in reasons.page()
    both = reasons.explain_note("incomplete_jpeg;bad_colour_profile")
    assert both == f"{reasons.NOTES['incomplete_jpeg']} {reasons.NOTES['bad_colour_profile']}"
    with pytest.raises(TableError, match=r"expected notes of incomplete_jpeg, .* found 'brand_new'"):
        reasons.explain_note("incomplete_jpeg;brand_new")
