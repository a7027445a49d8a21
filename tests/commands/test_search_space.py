"""The file of a search: what is accepted, what is refused in which words, and what it says of params.yaml."""

from pathlib import Path

import pytest
import yaml

from stages.commands import search_space
from stages.commands.search_space import Distribution
from stages.core import settings
from stages.core.settings import SettingsError

RATE = {"type": "float", "low": 0.001, "high": 1, "log": True}
SEARCH = {
    "question": "Which rate?",
    "target": "evaluate@a",
    "objective": "log_loss",
    "seed": 0,
    "budget": {"trials": 9, "hours": None},
    "common": ["train.epochs=2"],
    "space": {"train.rate": RATE, "train.kind": {"type": "categorical", "choices": ["yes", True, None, 1, 0.5]}},
}
PARAMS = {"train": {"rate": 0.1, "kind": True, "epochs": 9, "list": [1]}, "models": {"a": {}, "b": {}}}


def read(tmp_path, **changes):
    path = tmp_path / "rate.yaml"
    path.write_text(yaml.safe_dump({**SEARCH, **changes}))
    return search_space.read(path)


def test_target_decides_what_is_minimised_and_what_is_compared(tmp_path):
    one, ensemble = read(tmp_path), read(tmp_path, target="ensemble")
    assert (one.details, one.val_key) == ("metrics/evaluate/a/details.json", "val.log_loss")
    assert one.predictions == "data/predictions/a.csv"
    assert (ensemble.details, ensemble.val_key) == ("metrics/ensemble/details.json", "val.shrinkage.log_loss")
    assert ensemble.predictions == "data/ensemble_predictions.csv"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"target": "train@a"}, r"target: expected text like ensemble\|evaluate@.*, found 'train@a'"),
        ({"target": "evaluate"}, "target: expected text like"),
        ({"objective": "accuracy"}, "objective: expected one of 'log_loss', 'log_loss_calibrated', found 'accuracy'"),
        ({"objective": "log_loss_calibrated", "target": "ensemble"}, "objective: expected log_loss, found log_loss_c"),
        ({"seed": -1}, "seed: expected a whole number"),
        ({"budget": {"trials": None, "hours": None}}, "budget.trials: expected a number here or in hours, found null"),
        ({"budget": {"trials": 0, "hours": None}}, "budget.trials: expected a whole number, 1 or more, or null"),
        ({"budget": {"trials": 1, "hours": 0.0}}, "budget.hours: expected a number above 0 or null"),
        ({"budget": {"trials": 1}}, "budget: expected `hours`"),
        ({"budget": {"trials": 1, "days": 1, "hours": None}}, "budget.days: unknown parameter"),
        ({"common": ["train.epochs"]}, r"common\[0\]"),
        ({"common": ["a=1", "a=2"]}, "common: expected every parameter once, found a twice"),
        ({"common": ["train.rate=1"]}, "common: expected every parameter once, found train.rate in `space`, too"),
        ({"space": {}}, "space: expected .*one or more"),
        ({"space": {"rate": RATE}}, "space.rate: expected a name"),
        ({"space": {"a.b": {"type": "real"}}}, "space.a.b.type: expected one of 'float', 'int', 'categorical', found"),
        ({"space": {"a.b": {**RATE, "step": 1}}}, "space.a.b.step: unknown parameter"),
        ({"space": {"a.b": {"low": 1, "high": 2}}}, "space.a.b: expected `type`"),
        ({"space": {"a.b": {"type": "float", "low": 1}}}, "space.a.b: expected `low` and `high` alone for type float"),
        ({"space": {"a.b": {**RATE, "choices": [1, 2]}}}, "space.a.b: expected `low` and `high` alone"),
        (
            {"space": {"a.b": {**RATE, "high": 0.001}}},
            "space.a.b.high: expected a value above low = 0.001, found 0.001",
        ),
        ({"space": {"a.b": {**RATE, "low": 0.0}}}, "space.a.b.low: expected a value above 0 for `log: true`, found 0"),
        (
            {"space": {"a.b": {**RATE, "low": "small"}}},
            r"space.a.b.low: expected a number or null, found 'small' \(text\)",
        ),
        ({"space": {"a.b": {**RATE, "high": float("inf")}}}, "space.a.b.high: expected a number or null"),
        (
            {"space": {"a.b": {"type": "int", "low": 1, "high": 2.5}}},
            "space.a.b.low: expected whole numbers .* 1 to 2.5",
        ),
        (
            {"space": {"a.b": {"type": "categorical", "choices": [1]}}},
            "space.a.b: expected two `choices` or more alone",
        ),
        ({"space": {"a.b": {"type": "categorical"}}}, "space.a.b: expected two `choices` or more alone"),
        (
            {"space": {"a.b": {"type": "categorical", "choices": [1, 2], "low": 1}}},
            "or more alone for type categorical",
        ),
        (
            {"space": {"a.b": {"type": "categorical", "choices": [1, 1]}}},
            r"choices: expected .* all different, found \[1",
        ),
        ({"space": {"a.b": {"type": "categorical", "choices": [[1], 2]}}}, "choices: expected text, numbers, booleans"),
    ],
)
def test_an_invalid_search_is_an_error_that_names_file_and_key(tmp_path, changes, message):
    with pytest.raises(SettingsError, match=message) as caught:
        read(tmp_path, **changes)
    assert "rate.yaml" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["my search.yaml", "-a.yaml", "a..b.yaml"])
def test_a_file_that_cannot_name_experiments_is_refused(tmp_path, name):
    (tmp_path / name).write_text(yaml.safe_dump(SEARCH))
    with pytest.raises(SettingsError, match="expected a name of a-z"):
        search_space.read(tmp_path / name)


@pytest.mark.parametrize(
    ("distribution", "inside", "outside"),
    [
        ({"type": "float", "low": 1, "high": 2}, [1, 1.5, 2.0], [0.99, 2.01, True, "1.5", None]),
        ({"type": "int", "low": 1, "high": 3}, [1, 3], [0, 4, 2.0, True, None]),
        ({"type": "categorical", "choices": ["1", 2, True]}, ["1", 2, True], [1, "2", 2.5, None, [2]]),
    ],
)
def test_which_values_are_in_a_distribution(distribution, inside, outside):
    built = settings.build(distribution, Distribution, "space")
    assert [value in built for value in inside] == [True] * len(inside)
    assert [value in built for value in outside] == [False] * len(outside)


def test_defaults_are_those_of_params(tmp_path):
    assert search_space.defaults(read(tmp_path), PARAMS) == {"train.rate": 0.1, "train.kind": True}


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (
            {"train.rat": RATE},
            "space.train.rat: expected a parameter of params.yaml, found no `rat` .*did you mean `rate`",
        ),
        (
            {"trian.rate": RATE},
            "space.trian.rate: expected a parameter .* found no `trian` there; did you mean `train`",
        ),
        ({"train.rate.x": RATE}, "space.train.rate.x: expected a parameter of params.yaml, found no `x` there$"),
        (
            {"train.list": RATE},
            r"space.train.list: expected a space that holds the default of params.yaml, \[1\], found",
        ),
        ({"train.rate": {**RATE, "low": 0.2}}, "the default of params.yaml, 0.1, found {.*low: 0.2.*}; widen it"),
    ],
)
def test_a_space_without_its_defaults_is_refused(tmp_path, space, message):
    with pytest.raises(SettingsError, match=message):
        search_space.defaults(read(tmp_path, space=space), PARAMS)


def test_a_model_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SettingsError, match=r"target: expected a model of params\.yaml, found c; known here: a, b"):
        search_space.defaults(read(tmp_path, target="evaluate@c"), PARAMS)


def test_overrides_are_in_the_notation_of_dvc(tmp_path):
    values = {"a": 1e-05, "b": "yes", "c": None, "d": True, "e": 3}
    expected = ("train.epochs=2", "a=1e-05", "b='yes'", "c=null", "d=true", "e=3")
    assert search_space.overrides(read(tmp_path), values) == expected


def test_question_and_budget_may_change_and_nothing_else(tmp_path):
    before = read(tmp_path).fixed()
    assert before == read(tmp_path, question="Why?", budget={"trials": None, "hours": 1.0}).fixed()
    others = [
        {"target": "ensemble"},
        {"objective": "log_loss_calibrated"},
        {"seed": 1},
        {"common": []},
        {"space": {"train.rate": {**RATE, "log": False}}},
    ]
    assert all(read(tmp_path, **other).fixed() != before for other in others)


def test_the_search_of_the_project_fits_its_params():
    root = Path(__file__).resolve().parents[2]
    search = search_space.read(root / "experiments/search.yaml")
    defaults = search_space.defaults(search, settings.load(root / "params.yaml"))
    assert defaults["train.learning_rate"] == 5e-4 and len(defaults) == len(search.space) >= 10
