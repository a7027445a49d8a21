"""Proposals follow from the trials alone; importances find the parameter that matters."""

from stages.commands import search_sampler
from stages.commands.search_record import Trial
from stages.commands.search_space import Search
from stages.core import settings

SEARCH = settings.build(
    {
        "question": "Which x?",
        "target": "ensemble",
        "objective": "log_loss",
        "seed": 0,
        "budget": {"trials": 9, "hours": None},
        "common": [],
        "space": {
            "a.x": {"type": "float", "low": 0.0, "high": 1.0},
            "a.n": {"type": "int", "low": 1, "high": 3},
            "a.kind": {"type": "categorical", "choices": ["yes", None, True]},
        },
    },
    Search,
    "",
)


def search_for(count, first=()):
    """Trials with the log loss (x - 0.3)^2; each third one fails."""
    trials = list(first)
    for number in range(len(trials), count):
        values = search_sampler.propose(SEARCH, trials, [], number)
        loss = (values["a.x"] - 0.3) ** 2 if number % 3 else None
        trials.append(Trial(number=number, values=values, val_log_loss=loss, seconds=1.0))
    return trials


def test_proposals_are_in_the_space_and_approach_the_best_values():
    trials = search_for(60)
    for trial in trials:
        assert all(value in SEARCH.space[key] for key, value in trial.values.items()) and len(trial.values) == 3
    assert {trial.values["a.kind"] for trial in trials} == {"yes", None, True}
    distances = [abs(trial.values["a.x"] - 0.3) for trial in trials]
    assert sum(distances[-20:]) < sum(distances[:20]) / 2


def test_a_search_that_goes_on_proposes_what_it_would_have_without_a_stop():
    whole = search_for(20)
    assert search_for(20, whole[:13]) == whole
    assert search_sampler.propose(SEARCH, whole, [], 7) != search_sampler.propose(SEARCH, whole, [], 8)


def test_trials_that_run_now_are_not_proposed_again():
    trials = search_for(30)
    first = search_sampler.propose(SEARCH, trials, [], 30)
    assert search_sampler.propose(SEARCH, trials, [first], 30) != first


def test_the_parameter_that_decides_is_the_most_important_one():
    shares = search_sampler.importances(SEARCH, search_for(60))
    assert next(iter(shares)) == "a.x" and set(shares) == set(SEARCH.space)
    assert abs(sum(shares.values()) - 1) < 1e-9
