"""The last commit run again in a clone of a project whose `make repro` copies given files."""

import json
import subprocess
import sys

import pytest
import yaml

import stages
from stages.commands import reproduce
from stages.core import system
from stages.core.errors import UserError
from stages.core.programs import ProgramError

LOCKS = ("models/pretrained/dvc.lock", "data/sample/dvc.lock", "dvc.lock")


def git(folder, *words):
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]
    subprocess.run(["git", *identity, *words], cwd=folder, check=True, capture_output=True)


def lock(stage, path, md5):
    return yaml.safe_dump({"stages": {stage: {"outs": [{"path": path, "md5": md5}]}}})


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A function that commits a project of three stages; its second run overwrites files with `changes`."""

    def make(changes, command="cp -r changes/. .", **machine):
        root = tmp_path / "project"
        files = {
            LOCKS[0]: lock("convert", "net.onnx", "n"),
            LOCKS[1]: lock("render", "photos", "p"),
            LOCKS[2]: lock("train@lite", "metrics/train.json", "t"),
            "metrics/train.json": json.dumps({"loss": 0.5}),
            "metrics/provenance.json": json.dumps(
                {"cpu": system.this_cpu(), "reproducibility": stages.reproducibility(), "threads": 2} | machine
            ),
            "params.yaml": "runtime: {reproducibility: bits, threads: 2}\n",
            "Makefile": f"repro:\n\t{command}\n",
            "changes/kept": "",
            **{f"changes/{path}": text for path, text in changes.items()},
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


def reproduce_project(monkeypatch, capfd, *words):
    monkeypatch.setattr(sys, "argv", ["reproduce", *words])
    with pytest.raises(SystemExit) as stopped:
        reproduce.main()
    return stopped.value.code, capfd.readouterr().out


def test_identical_outputs_are_reported_and_the_working_tree_is_unchanged(project, monkeypatch, capfd):
    root = project({})
    (root / "dvc.lock").write_text("changed, not committed")
    code, output = reproduce_project(monkeypatch, capfd)
    assert code == 0 and "reproduce: 3 of 3 outputs have the committed bytes; 0 stages are within" in output
    assert "not that of the commit" not in output and (root / "dvc.lock").read_text() == "changed, not committed"


CHANGED = {"dvc.lock": lock("train@lite", "metrics/train.json", "x"), "metrics/train.json": json.dumps({"loss": 0.55})}


def test_different_figures_fail_on_the_same_cpu(project, monkeypatch, capfd):
    project(CHANGED)
    code, output = reproduce_project(monkeypatch, capfd)
    assert code == 1 and "metrics/train.json.loss: 0.5 to 0.55" in output and "2 of 3 outputs" in output


@pytest.mark.parametrize(
    "other",
    [
        {"cpu": {**system.this_cpu(), "vendor": "another"}},
        {"cpu": {**system.this_cpu(), "family": "26 2", "features": ["avx2", "fma", "avx512f"]}},
        {"threads": 3, "reproducibility": "metrics"},
    ],
)
def test_small_differences_pass_on_another_machine(project, monkeypatch, capfd, tmp_path, other):
    project(CHANGED, **other)
    code, output = reproduce_project(monkeypatch, capfd, "--folder", str(tmp_path / "kept"))
    assert code == 0 and "not that of the commit" in output and "1 stages are within" in output and "0 differ" in output
    assert json.loads((tmp_path / "kept" / "metrics" / "train.json").read_text()) == {"loss": 0.55}


def test_a_damaged_lock_file_is_named(project, monkeypatch):
    project({"dvc.lock": "stages: ["})
    monkeypatch.setattr(sys, "argv", ["reproduce"])
    with pytest.raises(UserError, match=r"^dvc\.lock: expected YAML, found: "):
        reproduce.main()


def test_a_failed_second_run_is_an_error_with_its_exit_code(project, monkeypatch):
    project({}, command="exit 3")
    monkeypatch.setattr(sys, "argv", ["reproduce"])
    with pytest.raises(ProgramError, match=r"^`make repro`: expected exit status 0, found 2: see its messages above$"):
        reproduce.main()
