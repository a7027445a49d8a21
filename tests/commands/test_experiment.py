"""The command that runs grids, on a pipeline of one fast stage."""

import shutil
import subprocess
import sys

import pandas as pd
import pytest

from stages.commands import experiment, revisions
from stages.core import programs
from tests.commands import grid_project
from tests.commands.grid_project import PIPELINE, SCRIPT, git

GRID = """
question: Does skill help?
target: predict
predictions: data/predictions/a.csv
baseline: low
seeds: [0, 1]
common: []
arms:
  low: []
  high: [train.skill=0.8]
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A repository of that pipeline, all of it committed, as the working directory."""
    monkeypatch.chdir(tmp_path)
    files = {"predict.py": SCRIPT, "dvc.yaml": PIPELINE, "skill.yaml": GRID, ".gitignore": "/logs\n"}
    grid_project.make(files | {"params.yaml": "train: {skill: 0.4, seed: 0}\n"})
    return tmp_path


def run_command(monkeypatch, *words):
    """The exit code of the command."""
    monkeypatch.setattr(sys, "argv", ["experiment", "skill.yaml", *words])
    with pytest.raises(SystemExit) as stopped:
        experiment.main()
    return stopped.value.code


def table():
    return pd.read_csv("metrics/experiments/skill.csv").set_index("arm")


def test_a_grid_is_run_and_compared_and_not_run_again(project, monkeypatch, capfd):
    before = subprocess.run(["git", "status", "--porcelain"], check=True, capture_output=True, text=True).stdout
    assert run_command(monkeypatch, "--jobs", "2") == 0
    assert revisions.existing_runs() == {"skill-low-0", "skill-low-1", "skill-high-0", "skill-high-1"}
    results = table()
    assert results["seeds"].tolist() == [2, 2] and results["n"].tolist() == [10, 10]
    assert results["accuracy"].tolist() == pytest.approx([0.45, 0.85])
    assert results.loc["high", ["accuracy_lowest", "accuracy_highest"]].tolist() == [0.8, 0.9]
    assert results.loc["high", "accuracy_gain"] == pytest.approx(0.4)
    assert "Does skill help?" in (project / "metrics/experiments/skill.md").read_text()
    assert "experiment skill: 4 runs, 0 failed" in capfd.readouterr().out
    after = subprocess.run(["git", "status", "--porcelain"], check=True, capture_output=True, text=True).stdout
    assert after == before + "?? metrics/\n" and not (project / "data").exists()

    monkeypatch.setattr(experiment, "run_one", lambda *_: pytest.fail("ran again"))
    assert run_command(monkeypatch) == 0 and table().equals(results)


def test_a_rewritten_commit_has_experiments_of_its_own(project, monkeypatch, capfd):
    assert run_command(monkeypatch) == 0
    (project / "params.yaml").write_text("train: {skill: 0.6, seed: 0}\n")
    git("commit", "-q", "-a", "--amend", "-m", "rewritten")
    assert revisions.existing_runs() == set() and run_command(monkeypatch) == 0
    assert table().loc["low", "accuracy"] == pytest.approx(0.65)
    assert "4 runs, 0 failed" in capfd.readouterr().out


@pytest.mark.usefixtures("project")
def test_only_missing_runs_are_made(monkeypatch):
    assert run_command(monkeypatch) == 0
    results = table()
    refs = programs.output("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    git("update-ref", "-d", next(ref for ref in refs if ref.endswith("high-1")))
    done, do = [], experiment.run_one
    monkeypatch.setattr(experiment, "run_one", lambda run, *rest: (done.append(run.name), do(run, *rest)))
    assert run_command(monkeypatch) == 0 and done == ["skill-high-1"] and table().equals(results)


def test_a_failed_run_is_named_and_the_others_continue(project, monkeypatch, capfd):
    (project / "skill.yaml").write_text(GRID + "  excessive: [train.skill=2]\n")
    git("commit", "-q", "-a", "-m", "excessive")
    assert run_command(monkeypatch) == 1
    assert "excessive" not in table().index and table()["seeds"].tolist() == [2, 2]
    errors = capfd.readouterr().err
    assert "skill-excessive-1: `python" in errors
    assert "expected exit status 0, found 255: ERROR: failed to repro" in errors
    assert "; see logs/experiments/skill-excessive-1.log" in errors
    assert "too skilled" in (project / "logs/experiments/skill-excessive-0.log").read_text()


def test_without_a_successful_run_there_is_no_table(project, monkeypatch, capfd):
    (project / "skill.yaml").write_text(GRID.replace("common: []", "common: [train.skull=2]"))
    git("commit", "-q", "-a", "-m", "misspelt")
    assert run_command(monkeypatch) == 1 and not (project / "metrics").exists()
    assert "0 runs, 4 failed" in capfd.readouterr().out


def test_uncommitted_changes_are_rejected_before_any_run(project, monkeypatch):
    (project / "params.yaml").write_text("train: {skill: 0.5, seed: 0}\n")
    with pytest.raises(experiment.ExperimentError, match=r"params\.yaml.*commit or stash"):
        run_command(monkeypatch)
    assert not (project / ".dvc/tmp/experiments").exists()


def test_workers_share_the_inference_cache(project):
    caches = [experiment.make_worker(number) / "logs" / "inference_cache" for number in (0, 1)]
    (caches[0] / "output").write_text("a car")
    assert (caches[1] / "output").read_text() == "a car"
    assert (project / "logs" / "inference_cache" / "output").read_text() == "a car"
    assert not programs.output("git", "status", "--porcelain", folder=caches[0].parent.parent)


@pytest.mark.usefixtures("project")
def test_a_worker_copies_its_outputs_and_never_needs_them_back_from_the_shared_cache():
    folder = experiment.make_worker(0)
    assert programs.output(sys.executable, "-m", "dvc", "config", "cache.type", folder=folder).strip() == "copy"


@pytest.mark.usefixtures("project")
def test_a_worker_of_an_interrupted_command_is_replaced():
    folder = experiment.make_worker(0)
    (folder / "predict.py").write_text("nonsense")
    shutil.rmtree(folder / ".git")
    assert (experiment.make_worker(0) / "predict.py").read_text() == SCRIPT
