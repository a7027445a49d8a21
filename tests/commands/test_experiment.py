"""The command that runs grids, on a pipeline of one stage that answers in no time."""

import shutil
import subprocess
import sys

import pandas as pd
import pytest

from stages.commands import experiment

SCRIPT = """
import sys, yaml
from pathlib import Path
train = yaml.safe_load(open("params.yaml"))["train"]
if train["skill"] > 1:
    sys.exit("too clever")
with open("runs.log", "a") as log:
    log.write("ran")
Path("data/predictions").mkdir(parents=True, exist_ok=True)
rows = [f"{n:02d},{0.9 if n < 10 * train['skill'] + train['seed'] else 0.1},0.5" for n in range(10)]
Path("data/predictions/a.csv").write_text("image_id,car,van\\n" + "\\n".join(rows) + "\\n")
photos = [f"{n:02d},car,test,ok,{n:02d}" for n in range(10)]
Path("data/letterbox.csv").write_text("image_id,label,split,status,group\\n" + "\\n".join(photos) + "\\n")
"""
PIPELINE = """
stages:
  answer:
    cmd: python answer.py
    params: [train]
    deps: [answer.py]
    outs: [data/predictions/a.csv, data/letterbox.csv]
"""
GRID = """
question: Does skill help?
target: answer
predictions: data/predictions/a.csv
baseline: dull
seeds: [0, 1]
common: []
arms:
  dull: []
  keen: [train.skill=0.8]
"""


def git(*words):
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]
    subprocess.run(["git", *identity, *words], check=True, capture_output=True)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A repository of that pipeline, all of it committed, as the working directory."""
    monkeypatch.chdir(tmp_path)
    for name, text in {"answer.py": SCRIPT, "dvc.yaml": PIPELINE, "skill.yaml": GRID, ".gitignore": "/logs\n"}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "params.yaml").write_text("train: {skill: 0.4, seed: 0}\n")
    git("init", "-q")
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], check=True, capture_output=True)
    git("add", ".")
    git("commit", "-q", "-m", "start")
    return tmp_path


def ask(monkeypatch, *words):
    """The exit code of the command."""
    monkeypatch.setattr(sys, "argv", ["experiment", "skill.yaml", *words])
    with pytest.raises(SystemExit) as stopped:
        experiment.main()
    return stopped.value.code


def table():
    return pd.read_csv("metrics/experiments/skill.csv").set_index("arm")


def test_a_grid_is_run_judged_and_not_run_again(project, monkeypatch, capfd):
    before = subprocess.run(["git", "status", "--porcelain"], check=True, capture_output=True, text=True).stdout
    assert ask(monkeypatch, "--jobs", "2") == 0
    assert experiment.existing_runs() == {"skill-dull-0", "skill-dull-1", "skill-keen-0", "skill-keen-1"}
    found = table()
    assert found["seeds"].tolist() == [2, 2] and found["n"].tolist() == [10, 10]
    assert found["accuracy"].tolist() == pytest.approx([0.45, 0.85])
    assert found.loc["keen", ["accuracy_lowest", "accuracy_highest"]].tolist() == [0.8, 0.9]
    assert found.loc["keen", "accuracy_gain"] == pytest.approx(0.4)
    assert "Does skill help?" in (project / "metrics/experiments/skill.md").read_text()
    assert "experiment skill: 4 runs, 0 failed" in capfd.readouterr().out
    after = subprocess.run(["git", "status", "--porcelain"], check=True, capture_output=True, text=True).stdout
    assert after == before + "?? metrics/\n" and not (project / "data").exists()

    monkeypatch.setattr(experiment, "run_one", lambda *_: pytest.fail("ran again"))
    assert ask(monkeypatch) == 0 and table().equals(found)


def test_a_rewritten_commit_has_experiments_of_its_own(project, monkeypatch, capfd):
    assert ask(monkeypatch) == 0
    (project / "params.yaml").write_text("train: {skill: 0.6, seed: 0}\n")
    git("commit", "-q", "-a", "--amend", "-m", "rewritten")
    assert experiment.existing_runs() == set() and ask(monkeypatch) == 0
    assert table().loc["dull", "accuracy"] == pytest.approx(0.65)
    assert "4 runs, 0 failed" in capfd.readouterr().out


@pytest.mark.usefixtures("project")
def test_what_is_missing_is_run_and_nothing_else(monkeypatch):
    assert ask(monkeypatch) == 0
    found = table()
    refs = experiment.run_command("git", "for-each-ref", "--format=%(refname)", "refs/exps").split()
    git("update-ref", "-d", next(ref for ref in refs if ref.endswith("keen-1")))
    done, do = [], experiment.run_one
    monkeypatch.setattr(experiment, "run_one", lambda run, *rest: (done.append(run.name), do(run, *rest)))
    assert ask(monkeypatch) == 0 and done == ["skill-keen-1"] and table().equals(found)


def test_a_run_that_fails_is_named_and_the_others_go_on(project, monkeypatch, capfd):
    (project / "skill.yaml").write_text(GRID + "  rash: [train.skill=2]\n")
    git("commit", "-q", "-a", "-m", "rash")
    assert ask(monkeypatch) == 1
    assert "rash" not in table().index and table()["seeds"].tolist() == [2, 2]
    assert "skill-rash-1: expected exit code 0" in capfd.readouterr().err
    assert "too clever" in (project / "logs/experiments/skill-rash-0.log").read_text()


def test_where_every_run_fails_there_is_no_table(project, monkeypatch, capfd):
    (project / "skill.yaml").write_text(GRID.replace("common: []", "common: [train.skull=2]"))
    git("commit", "-q", "-a", "-m", "misspelt")
    assert ask(monkeypatch) == 1 and not (project / "metrics").exists()
    assert "0 runs, 4 failed" in capfd.readouterr().out


def test_what_is_not_committed_is_refused_before_any_work(project, monkeypatch):
    (project / "params.yaml").write_text("train: {skill: 0.5, seed: 0}\n")
    with pytest.raises(experiment.ExperimentError, match=r"params\.yaml.*commit or stash"):
        ask(monkeypatch)
    assert not (project / ".dvc/tmp/experiments").exists()


def test_workers_share_the_inference_cache(project):
    caches = [experiment.make_worker(number) / "logs" / "inference_cache" for number in (0, 1)]
    (caches[0] / "output").write_text("a car")
    assert (caches[1] / "output").read_text() == "a car"
    assert (project / "logs" / "inference_cache" / "output").read_text() == "a car"
    assert not experiment.run_command("git", "status", "--porcelain", folder=caches[0].parent.parent)


@pytest.mark.usefixtures("project")
def test_a_worker_that_was_left_behind_is_made_anew():
    folder = experiment.make_worker(0)
    (folder / "answer.py").write_text("nonsense")
    shutil.rmtree(folder / ".git")
    assert (experiment.make_worker(0) / "answer.py").read_text() == SCRIPT
