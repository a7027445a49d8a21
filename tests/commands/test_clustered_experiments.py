"""Experiments as tasks of a Ray cluster of two one-core nodes, on a pipeline of one fast stage."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from stages.commands import clustered_experiments, experiment, revisions
from stages.core.programs import output
from stages.networks.cluster import ClusterError
from tests.commands import grid_project

pytest.importorskip("ray")
pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
)
RUNTIME = "runtime: {reproducibility: bits, threads: 1, engine: local, cluster_timeout: 300, shares_photos: false}\n"
# `skill` 0.7 kills the worker of the first attempt, and leaves a mark; 0.75 kills that of every one. The stage
# fails, too: a finished one would be in the cache, and the next attempt would take it from there.
KILLER = """
import os, psutil, signal
skill = yaml.safe_load(open("params.yaml"))["train"]["skill"]
mark = Path(MARKS, "killed")
if skill == 0.75 or (skill == 0.7 and not mark.exists()):
    mark.touch()
    ray_worker = next(p for p in psutil.Process().parents() if "ray::" in p.name() or "ray::" in " ".join(p.cmdline()))
    os.kill(ray_worker.pid, signal.SIGKILL)
    sys.exit("killed its worker")
"""
GRID = """
question: Does skill help?
target: predict
predictions: data/predictions/a.csv
baseline: low
seeds: [0]
common: []
arms:
  low: []
  high: [train.skill=0.8]
  excessive: [train.skill=2]
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The repository, with a DVC remote, as the working directory; workers have a folder of their own."""
    (tmp_path / "home").mkdir()
    monkeypatch.chdir(tmp_path / "home")
    script = grid_project.SCRIPT.replace("if train", f"{KILLER}\nif train", 1).replace("MARKS", repr(str(tmp_path)))
    files = {"predict.py": script, "dvc.yaml": grid_project.PIPELINE, "skill.yaml": GRID, ".gitignore": "/logs\n"}
    grid_project.make({**files, "params.yaml": "train: {skill: 0.4, seed: 0}\n" + RUNTIME})
    subprocess.run([sys.executable, "-m", "dvc", "remote", "add", "-q", "-d", "store", tmp_path / "store"], check=True)
    grid_project.git("commit", "-q", "-a", "-m", "remote")
    return tmp_path


def run_command(monkeypatch, folder, *words):
    options = ["--engine", "ray", "--worker-folder", str(folder / "workers"), *words]
    monkeypatch.setattr(sys, "argv", ["experiment", "skill.yaml", *options])
    with pytest.raises(SystemExit) as stopped:
        experiment.main()
    return stopped.value.code


@pytest.mark.usefixtures("nodes")
@pytest.mark.parametrize("shares_cache", [False, True])
def test_runs_come_home_as_experiments_and_a_failed_one_is_a_line(project, monkeypatch, capfd, shares_cache):
    words = ["--shares-cache"] if shares_cache else []
    assert run_command(monkeypatch, project, *words) == 1
    assert revisions.existing_runs() == {"skill-low-0", "skill-high-0"}
    table = pd.read_csv("metrics/experiments/skill.csv").set_index("arm")
    assert table["accuracy"].tolist() == pytest.approx([0.4, 0.8])
    shown = capfd.readouterr()
    assert "experiment skill: 2 runs, 1 failed" in shown.out and "run/s" in shown.err + "s/run"
    assert "skill-excessive-0: `python" in shown.err
    assert "; see logs/experiments/skill-excessive-0.log" in shown.err
    assert "too skilled" in Path("logs/experiments/skill-excessive-0.log").read_text()
    # Nothing ran here: there are no outputs, clones are gone, and Git's tree is as before.
    assert not Path("data").exists() and output("git", "status", "--porcelain") == "?? metrics/\n"
    assert sorted(path.name for path in (project / "workers").iterdir()) == (
        ["inference_cache", "inspection_cache"] if shares_cache else ["cache", "inference_cache", "inspection_cache"]
    )
    assert (project / "store").exists() != shares_cache

    # Those that are home are not run again; the others are.
    made = []
    do = clustered_experiments.run_all
    monkeypatch.setattr(
        clustered_experiments, "run_all", lambda runs, *rest: (made.extend(r.name for r in runs), do([], *rest))[1]
    )
    run_command(monkeypatch, project, *words)
    assert made == ["skill-excessive-0"]

    # Its outputs are here, too.
    output(sys.executable, "-m", "dvc", "exp", "apply", "skill-high-0")
    assert Path("data/predictions/a.csv").read_text().count("0.9,") == 8
    assert "skill: 0.8" in Path("params.yaml").read_text()


@pytest.mark.usefixtures("nodes")
def test_a_run_whose_worker_dies_is_made_again_and_one_that_kills_each_is_a_line(project, monkeypatch, capfd):
    arms = "  once: [train.skill=0.7]\n  always: [train.skill=0.75]\n"
    Path("skill.yaml").write_text(GRID.partition("  high:")[0] + arms)
    grid_project.git("commit", "-q", "-a", "-m", "killers")
    assert run_command(monkeypatch, project) == 1
    assert revisions.existing_runs() == {"skill-low-0", "skill-once-0"} and (project / "killed").exists()
    errors = capfd.readouterr().err
    assert "skill-always-0: worker_died: 4 workers" in errors


@pytest.mark.usefixtures("nodes", "project")
def test_without_a_node_that_a_run_fits_it_ends_in_time(monkeypatch):
    text = Path("params.yaml").read_text().replace("cluster_timeout: 300", "cluster_timeout: 5")
    Path("params.yaml").write_text(text)
    grid_project.git("commit", "-q", "-a", "-m", "timeout")
    monkeypatch.setattr(sys, "argv", ["experiment", "skill.yaml", "--engine", "ray", "--gpus", "1"])
    with pytest.raises(ClusterError, match="expected a node with 1 cores and 1 GPUs within 5 s"):
        experiment.main()
