"""The command that searches for parameters: on a pipeline of one fast stage, and with stand-ins for its runs."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from stages.commands import compare, experiment, revisions, search, search_record, search_sampler, search_space
from stages.core import programs
from stages.core.errors import UserError
from tests.commands import search_project
from tests.commands.grid_project import git
from tests.commands.search_project import (
    MODEL,
    PARAMS,
    SEARCH,
    make_experiment,
    record,
    run_command,
    table,
    write_search,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A repository of that pipeline and search, all of it committed, as the working directory."""
    monkeypatch.chdir(tmp_path)
    search_project.make()
    return tmp_path


@pytest.fixture
def runs(project, monkeypatch):
    """The names of runs in the order in which they were made; runs are stand-ins that take no time."""
    made, scope = [], {}
    exec(MODEL, scope)

    def run_one(run, target, folder):
        assert (target, folder) == ("evaluate@a", project) and run.overrides[0] == "train.epochs=2"
        made.append(run.name)
        pairs = dict(override.partition("=")[::2] for override in run.overrides)
        train = {key.removeprefix("train."): yaml.safe_load(value) for key, value in pairs.items()}
        train["rate"] = float(train["rate"])
        params = yaml.safe_load(PARAMS) | {"train": train}
        make_experiment(run.name, {"params.yaml": json.dumps(params), **scope["files"](train)})

    monkeypatch.setattr(experiment, "make_worker", lambda _: project)
    monkeypatch.setattr(experiment, "run_one", run_one)
    return made


@pytest.mark.usefixtures("project")
def test_trials_are_experiments_and_the_best_on_val_is_compared_with_the_defaults_on_test(monkeypatch, capfd):
    write_search(budget={"trials": 3, "hours": None})
    assert run_command(monkeypatch, "--jobs", "2") == 0
    assert revisions.existing_runs() == {"rate-a-0", "rate-a-1", "rate-a-2"}
    results = table()
    assert sorted(results.index) == [0, 1, 2] and set(results["state"]) == {"done"}
    assert results["val_log_loss"].is_monotonic_increasing and results.index[0] != 0
    default = results.loc[0, ["val_log_loss", "train.rate", "train.depth", "train.kind"]].tolist()
    assert default == [pytest.approx(0.91), 0.1, 1, "'plain'"]
    losses = 1 + np.log10(results["train.rate"]) / 10 + results["train.depth"] / 100
    assert results["val_log_loss"].tolist() == pytest.approx(losses.tolist())
    best = f"rate-a-{results.index[0]}"
    first, second = (compare.test_outcomes(name, "data/predictions/a.csv") for name in (best, "rate-a-0"))
    gain = first["log_loss"].mean() - second["log_loss"].mean()
    # All ten photos have one loss, so every bootstrap sample has the same mean.
    expected = f"log loss {gain:+.4f} ({gain:+.4f} to {gain:+.4f})"
    assert expected in Path("metrics/experiments/rate_a.md").read_text()
    captured = capfd.readouterr()
    assert expected in captured.out and "On test (n = 10), trial" in captured.out
    assert "search rate-a: 3 done, 0 failed, 3 of 3 trials, 0.0" in captured.out
    assert "rate-a-0: val log loss 0.9100" in captured.err
    subprocess.run([sys.executable, "-m", "dvc", "exp", "apply", best], check=True, capture_output=True)
    assert Path("params.yaml").read_text() != PARAMS


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_search_that_is_stopped_goes_on_with_the_trial_that_ran(tmp_path, stop):
    write_search(budget={"trials": 2, "hours": None})
    gate = tmp_path / "logs" / "gate"
    gate.parent.mkdir()
    gate.touch()
    words = [sys.executable, "-m", "stages", "search", "rate_a.yaml"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "GATE": str(gate)}
    # Where the tests run in the background of a shell, SIGINT is ignored, and children inherit that.
    before_tests = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL, start_new_session=True)
    signal.signal(signal.SIGINT, before_tests)
    deadline = time.monotonic() + 300
    while not gate.with_name("reached").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, stop)
    assert process.wait() in (-signal.SIGKILL, 130)
    before = record()
    assert [trial["number"] for trial in before] == [0]
    assert revisions.existing_runs() == {"rate-a-0"}
    gate.unlink()
    done = subprocess.run(words, env=environment, check=True, capture_output=True, text=True)
    after = record()
    assert after[0] == before[0] and [trial["number"] for trial in after] == [0, 1]
    assert "2 done, 0 failed" in done.stdout and "rate-a-0:" not in done.stderr and "rate-a-1:" in done.stderr
    proposed = search_sampler.propose(search_space.read(Path("rate_a.yaml")), [search_record.Trial(**after[0])], [], 1)
    assert after[1]["values"] == proposed


def test_a_search_in_two_sessions_has_the_trials_of_one_and_repeats_none(runs, monkeypatch):
    assert run_command(monkeypatch) == 0 and runs == [f"rate-a-{number}" for number in range(5)]
    whole = record()
    assert len({json.dumps(trial["values"]) for trial in whole}) == 5
    Path("logs/experiments/rate_a.json").unlink()
    git("commit", "-q", "--allow-empty", "-m", "experiments of a commit of their own")
    runs.clear()
    write_search(budget={"trials": 2, "hours": None})
    assert run_command(monkeypatch) == 0 and len(record()) == 2
    write_search()  # of the same experiments, since only the search's file changes
    assert run_command(monkeypatch) == 0 and runs == [f"rate-a-{number}" for number in range(5)]
    key = ("number", "values", "val_log_loss")
    assert [[trial[name] for name in key] for trial in record()] == [[trial[name] for name in key] for trial in whole]
    assert run_command(monkeypatch) == 0 and len(runs) == 5


def test_experiments_without_a_record_are_found_and_not_run_again(runs, monkeypatch):
    assert run_command(monkeypatch) == 0
    before = {trial["number"]: (trial["values"], trial["val_log_loss"], trial["commit"]) for trial in record()}
    Path("logs/experiments/rate_a.json").unlink()
    git("update-ref", "-d", f"{revisions.experiment_ref()}/rate-a-3")
    runs.clear()
    assert run_command(monkeypatch) == 0 and runs == ["rate-a-3"]
    after = {trial["number"]: (trial["values"], trial["val_log_loss"], trial["commit"]) for trial in record()}
    assert {n: after[n] for n in (0, 1, 2, 4)} == {n: before[n] for n in (0, 1, 2, 4)} and set(after) == set(before)
    assert [trial["number"] for trial in record() if trial["seconds"] is None] == [0, 1, 2, 4]


def test_experiments_of_another_search_are_refused(runs, monkeypatch):
    params = yaml.safe_load(PARAMS) | {"train": {"rate": 0.5, "depth": 1, "kind": "plain"}}
    make_experiment("rate-a-0", {"params.yaml": json.dumps(params)})
    with pytest.raises(UserError, match=r"rate-a-0: expected train\.rate in .*low: 1e-06.*, found 0\.5"):
        run_command(monkeypatch)
    assert not runs


def test_trials_are_chosen_by_val_whatever_test_says(runs, monkeypatch):
    seen = []
    outcomes = compare.split_outcomes
    monkeypatch.setattr(compare, "split_outcomes", lambda *words: (seen.append(words[:3:2]), outcomes(*words))[1])
    assert run_command(monkeypatch) == 0
    rows = {trial["commit"]: trial for trial in record()}
    for commit, trial in rows.items():
        figures = json.loads(programs.output("git", "show", f"{commit}:metrics/evaluate/a/details.json"))
        assert trial["val_log_loss"] == figures["val"]["log_loss"] != figures["test"]["log_loss"]
    best = min(rows.values(), key=lambda trial: trial["val_log_loss"])
    assert best["number"] != 0 and table().index[0] == best["number"] and len(runs) == 5
    # Test photos are read of these two alone, when the budget is used up.
    default = next(commit for commit, trial in rows.items() if trial["number"] == 0)
    assert seen == [(best["commit"], "test"), (default, "test")]


def test_calibrated_log_loss_is_that_after_the_temperature_of_the_trial(runs, monkeypatch):
    write_search(objective="log_loss_calibrated")
    assert run_command(monkeypatch) == 0 and len(runs) == 5

    def expected(values, is_test=False):
        p_car = 0.9 - (1 + np.log10(values["train.rate"]) / 10 + values["train.depth"] / 100) / 2
        p_car = 1 - p_car if is_test else p_car
        powers = p_car ** values["train.depth"], (1 - p_car) ** values["train.depth"]
        return -np.log(powers[0] / sum(powers))

    trials = record()
    assert [trial["val_log_loss"] for trial in trials] == pytest.approx([expected(t["values"]) for t in trials])
    assert len({trial["values"]["train.depth"] for trial in trials}) > 1
    best = min(trials, key=lambda trial: trial["val_log_loss"])
    gain = expected(best["values"], is_test=True) - expected(trials[0]["values"], is_test=True)
    assert f"log loss {gain:+.4f} ({gain:+.4f} to {gain:+.4f})" in Path("metrics/experiments/rate_a.md").read_text()


def test_calibrated_log_loss_needs_photos_in_val(runs, monkeypatch, capfd):
    write_search(objective="log_loss_calibrated", budget={"trials": 1, "hours": None})
    do = experiment.run_one

    def without_val(run, target, folder):
        do(run, target, folder)
        tables = {"data/splits.csv": "image_id,label,split,status,group\n", "data/predictions/a.csv": "image_id,car\n"}
        figures = {"metrics/evaluate/a/details.json": '{"temperature": 1.0}'}
        make_experiment(run.name, {"params.yaml": PARAMS, **tables, **figures})

    monkeypatch.setattr(experiment, "run_one", without_val)
    assert run_command(monkeypatch) == 1 and runs == ["rate-a-0"]
    assert "rate-a-0: data/splits.csv of" in capfd.readouterr().err


def test_the_defaults_may_be_the_best_and_then_test_is_not_looked_at(runs, monkeypatch, capfd):
    monkeypatch.setattr(compare, "split_outcomes", lambda *_: pytest.fail("looked at test"))
    write_search(budget={"trials": 1, "hours": None})
    assert run_command(monkeypatch) == 0 and runs == ["rate-a-0"]
    assert "No trial has a lower log loss on val than the defaults" in capfd.readouterr().out


def test_a_failed_trial_is_named_and_the_others_continue(runs, monkeypatch, capfd):
    do = experiment.run_one

    def fail_once(run, target, folder):
        if run.name == "rate-a-2":
            raise experiment.ExperimentError("rate-a-2: exploded; see logs/experiments/rate-a-2.log")
        do(run, target, folder)

    monkeypatch.setattr(experiment, "run_one", fail_once)
    assert run_command(monkeypatch) == 1
    captured = capfd.readouterr()
    assert "rate-a-2: exploded; see logs/experiments/rate-a-2.log" in captured.err
    assert "search rate-a: 4 done, 1 failed, 5 of 5 trials" in captured.out
    assert table().index[-1] == 2 and table().loc[2, ["state", "val_log_loss"]].tolist() == ["failed", ""]
    assert "| 2 | failed |" in Path("metrics/experiments/rate_a.md").read_text()
    assert run_command(monkeypatch) == 0 and len(runs) == 4
    monkeypatch.setattr(experiment, "run_one", do)
    assert run_command(monkeypatch, "--retry-failed") == 0 and runs[4:] == ["rate-a-2"]
    assert [trial["error"] for trial in record()] == [""] * 5


def test_a_trial_without_a_log_loss_on_val_fails(runs, monkeypatch, capfd):
    do = experiment.run_one

    def without_val(run, target, folder):
        do(run, target, folder)
        figures = '{"val": {"n": 0}, "test": {"log_loss": 0.1}}'
        values = ", ".join(f"{key}: {value}" for key, value in (text.partition("=")[::2] for text in run.overrides))
        params = f"train: {{{values.replace('train.', '')}}}\nmodels: {{a: {{backbone: x}}}}\n"
        make_experiment(run.name, {"params.yaml": params, "metrics/evaluate/a/details.json": figures})

    monkeypatch.setattr(experiment, "run_one", without_val)
    write_search(budget={"trials": 2, "hours": None})
    assert run_command(monkeypatch) == 1 and not Path("metrics").exists() and len(runs) == 2
    captured = capfd.readouterr()
    assert "rate-a-1: metrics/evaluate/a/details.json: expected a number `val.log_loss`, found None" in captured.err
    assert "0 done, 2 failed, 2 of 2 trials" in captured.out
    # Their experiments exist: they are read again, not run again.
    assert run_command(monkeypatch, "--retry-failed") == 0 and len(runs) == 2


def test_the_budget_of_hours_counts_all_sessions_and_ends_after_the_trial_that_runs(runs, monkeypatch, capfd):
    clock = iter(range(0, 10**6, 1800))
    monkeypatch.setattr(search.time, "monotonic", lambda: float(next(clock)))
    write_search(budget={"trials": None, "hours": 0.75})
    assert run_command(monkeypatch) == 0 and runs == ["rate-a-0", "rate-a-1"]
    assert "2 done, 0 failed, 2 trials, 1.00 of 0.75 hours" in capfd.readouterr().out
    write_search(budget={"trials": None, "hours": 1.5})
    assert run_command(monkeypatch) == 0 and runs == ["rate-a-0", "rate-a-1", "rate-a-2"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": 1}, "rate_a.yaml: seed: expected 0, as in 1 trials of logs/experiments/rate_a.json, found 1; "),
        ({"common": []}, r"common: expected \['train.epochs=2'\], as in .* found \[\]"),
        (
            {"space": SEARCH["space"] | {"train.depth": {"type": "int", "low": 1, "high": 9}}},
            r"space.train.depth: expected .*high: 4.*, as in 1 trials .*, found .*high: 9.*; name the file anew",
        ),
        ({"space": {"train.rate": SEARCH["space"]["train.rate"]}}, r"space.train.depth: expected .*, found none"),
    ],
)
def test_a_changed_search_of_the_same_name_is_refused_with_both_readings(runs, monkeypatch, changes, message):
    write_search(budget={"trials": 1, "hours": None})
    assert run_command(monkeypatch) == 0
    write_search(**changes)
    with pytest.raises(UserError, match=message):
        run_command(monkeypatch)
    assert len(runs) == 1


def test_a_search_goes_on_after_commits_of_results_and_not_after_those_of_code(runs, monkeypatch):
    write_search(budget={"trials": 2, "hours": None})
    assert run_command(monkeypatch) == 0
    git("add", "metrics")
    git("commit", "-q", "-m", "results")
    write_search(question="Which rate, after more trials?")
    assert run_command(monkeypatch) == 0 and len(runs) == 5
    git("commit", "-q", "-a", "-m", "results")
    (Path("evaluate.py")).write_text("print()")
    git("commit", "-q", "-a", "-m", "code")
    with pytest.raises(UserError, match=r"evaluate\.py: expected it as in commit .* run `git checkout"):
        run_command(monkeypatch)


def test_a_damaged_record_is_an_error_that_says_what_to_do(runs, monkeypatch):
    Path("logs/experiments").mkdir(parents=True)
    for text in ("{", '{"commit": "x", "fixed": {}, "trials": [{"number": -1}]}'):
        Path("logs/experiments/rate_a.json").write_text(text)
        with pytest.raises(UserError, match=r"rate_a\.json: .*remove logs/experiments/rate_a\.json to begin anew"):
            run_command(monkeypatch)
    assert not runs


def test_uncommitted_changes_are_rejected_before_any_trial(runs, monkeypatch):
    Path("params.yaml").write_text(PARAMS + "more: {}\n")
    with pytest.raises(experiment.ExperimentError, match=r"params\.yaml.*commit or stash"):
        run_command(monkeypatch)
    assert not runs


@pytest.mark.usefixtures("project")
def test_a_number_of_jobs_below_one_is_refused(monkeypatch, capfd):
    assert run_command(monkeypatch, "--jobs", "0") == 2
    assert "--jobs: expected 1 or more, found 0" in capfd.readouterr().err
