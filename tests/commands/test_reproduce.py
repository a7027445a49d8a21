"""The last commit run again in a clone: a project whose `make repro` writes what it is told to."""

import json
import subprocess
import sys

import pytest
import yaml

from stages.commands import reproduce
from stages.core import system

LOCKS = ("models/pretrained/dvc.lock", "data/sample/dvc.lock", "dvc.lock")


def git(folder, *words):
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


def lock(stage, path, md5):
    return yaml.safe_dump({"stages": {stage: {"outs": [{"path": path, "md5": md5}]}}})


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A function that commits a project of three stages whose second run writes `again` over what it committed."""

    def make(again, cpu=None, command="cp -r again/. ."):
        root = tmp_path / "project"
        files = {
            LOCKS[0]: lock("convert", "net.onnx", "n"),
            LOCKS[1]: lock("render", "photos", "p"),
            LOCKS[2]: lock("train@lite", "metrics/train.json", "t"),
            "metrics/train.json": json.dumps({"loss": 0.5}),
            "metrics/provenance.json": json.dumps({"cpu": cpu or system.this_cpu(), "reproducibility": "bits"}),
            "Makefile": f"repro:\n\t{command}\n",
            "again/kept": "",
            **{f"again/{path}": text for path, text in again.items()},
        }
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        git(root, "init", "-q")
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", "all")
        monkeypatch.chdir(root)
        return root

    return make


def outcome(monkeypatch, capfd, *words):
    monkeypatch.setattr(sys, "argv", ["reproduce", *words])
    with pytest.raises(SystemExit) as stopped:
        reproduce.main()
    return stopped.value.code, capfd.readouterr().out


def test_the_same_bytes_everywhere_are_said_so_and_the_working_tree_is_left_alone(project, monkeypatch, capfd):
    root = project({})
    (root / "dvc.lock").write_text("changed, not committed")
    code, told = outcome(monkeypatch, capfd)
    assert code == 0 and "reproduce: 3 of 3 outputs have the committed bytes; 0 stages within" in told
    assert "another CPU" not in told and (root / "dvc.lock").read_text() == "changed, not committed"


MOVED = {"dvc.lock": lock("train@lite", "metrics/train.json", "x"), "metrics/train.json": json.dumps({"loss": 0.55})}


def test_moved_figures_fail_on_the_same_cpu(project, monkeypatch, capfd):
    project(MOVED)
    code, told = outcome(monkeypatch, capfd)
    assert code == 1 and "metrics/train.json.loss: 0.5 to 0.55" in told and "2 of 3 outputs" in told


@pytest.mark.parametrize("other", [{"vendor": "another"}, {"family": "26 2", "features": ["avx2", "fma", "avx512f"]}])
def test_on_another_cpu_they_may_move_a_little(project, monkeypatch, capfd, tmp_path, other):
    project(MOVED, cpu={**system.this_cpu(), **other})
    code, told = outcome(monkeypatch, capfd, "--folder", str(tmp_path / "kept"))
    assert code == 0 and "another CPU" in told and "1 stages within" in told and "0 differ" in told
    assert json.loads((tmp_path / "kept" / "metrics" / "train.json").read_text()) == {"loss": 0.55}


def test_a_second_run_that_fails_is_told_with_its_exit_code(project, monkeypatch):
    project({}, command="exit 3")
    monkeypatch.setattr(sys, "argv", ["reproduce"])
    with pytest.raises(reproduce.ReproduceError, match=r"^`make repro` in .*: expected exit code 0, found 2$"):
        reproduce.main()
