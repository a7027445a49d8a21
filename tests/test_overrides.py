"""Parameters set by `dvc exp run -S`, as DVC writes them into params.yaml and the stage `check` reads them."""

import shutil
import subprocess

import pytest
from ruamel.yaml import YAML

from tests import small_project
from tests.small_project import ROOT, run


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A repository with the project's own pipeline, parameters and code, without any data."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "stages", folder / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("dvc.yaml", "params.yaml", ".dvcignore"):
        shutil.copy(ROOT / name, folder)
    (folder / ".gitignore").write_text("__pycache__/\n")
    for words in (["git", "init", "-q"], ["dvc", "init", "-q"], ["dvc", "config", "core.analytics", "false"]):
        run(folder, *words)
    small_project.commit(folder, "start")
    return folder


def check_with(project, *overrides):
    """Run the stage `check` as an experiment with these overrides of params.yaml; the finished process."""
    words = ["dvc", "exp", "run", "--quiet", *(word for text in overrides for word in ("-S", text)), "check"]
    environment = small_project.environment()
    return subprocess.run(words, cwd=project, env=environment, capture_output=True, text=True, check=False)


def parameters(project):
    return YAML(typ="safe").load(project / "params.yaml")


@pytest.mark.parametrize("number", ["1e-5", "1e-05", "0.00001"])
def test_a_number_in_any_notation_is_a_number_and_passes(project, number):
    done = check_with(project, f"train.learning_rate={number}")
    assert done.returncode == 0, done.stderr
    assert parameters(project)["train"]["learning_rate"] == 1e-5
    assert (project / "data" / "params.checked").is_file()


def test_an_override_of_another_type_is_one_line_and_no_stage_runs(project):
    (project / "data" / "params.checked").unlink(missing_ok=True)
    done = check_with(project, "train.learning_rate=fast")
    assert done.returncode != 0 and "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("check: ")]
    assert len(lines) == 1 and lines[0].startswith("check: params.yaml: train.learning_rate: expected a number")
    assert "'fast'" in lines[0] and not (project / "data" / "params.checked").exists()


def test_overrides_of_lists_and_mappings_pass(project):
    phases = "train.unfreeze=[{epochs: 3, frozen_share: 1.0}, {epochs: 4}]"
    done = check_with(project, phases, "train.learning_rate=1e-4", "crop.mode=full_image", "train.patience=null")
    assert done.returncode == 0, done.stderr
    found = parameters(project)["train"]
    assert found["unfreeze"] == [{"epochs": 3, "frozen_share": 1.0}, {"epochs": 4}] and found["patience"] is None
