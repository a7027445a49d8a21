import pytest

from stages.reporting import reasons, results


@pytest.mark.parametrize(
    ("weights", "note"),
    [
        ({"b": 0.25, "a": 0.75}, "weights fitted on val"),
        ({"b": 0.5, "a": 0.5}, "weights not fitted: all equal"),
        ({"a": 1.0}, "of one model"),
    ],
)
def test_rows_of_the_table(weights, note):
    metrics = {"test": {"n": 2}, "equal_weights": {"n": 3}, "best_single": {"name": "b", "n": 4}, "weights": weights}
    models = {name: {"val": {"n": 5}, "test": {"n": 6}} for name in weights}
    found = results.headline(metrics, models)
    assert [row.name for row in found] == ["Ensemble", "Equal weights", "Best single model", *sorted(weights)]
    assert found[0].note == note
    assert [row.test["n"] for row in found[:3]] == [2, 3, 4]
    assert found[2].note == "b, by log loss on val"
    assert (found[3].weight, found[3].val["n"], found[3].test["n"]) == (weights["a"], 5, 6)


def test_no_best_single_model_without_val():
    metrics = {"test": {"n": 0}, "equal_weights": {"n": 0}, "weights": {"a": 1.0}}
    found = results.headline(metrics, {"a": {"val": {"n": 0}, "test": {"n": 0}}})
    assert [row.name for row in found] == ["Ensemble", "Equal weights", "a"]


def test_unknown_reasons_are_owned_up_to():
    assert reasons.explain("truncated").startswith("The picture begins well")
    assert "no explanation" in reasons.explain("brand_new")
