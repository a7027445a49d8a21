"""Revisions that do not exist or cannot be read: each is one line."""

import os
import subprocess
import sys

import pytest

from stages.commands import compare, revisions
from stages.core.errors import UserError
from stages.core.programs import ProgramError


def git(*words):
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.invalid"]
    subprocess.run(["git", *identity, *words], check=True, capture_output=True)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A DVC project with one commit and two experiments of it, as the working directory."""
    monkeypatch.chdir(tmp_path)
    git("init", "-q")
    subprocess.run([sys.executable, "-m", "dvc", "init", "-q"], check=True, capture_output=True)
    (tmp_path / "a.csv").write_text("image_id\nx\n")
    git("add", "-A")
    git("commit", "-q", "-m", "start")
    for name in ("wide-0", "base-0"):
        git("update-ref", f"{revisions.experiment_ref()}/{name}", "HEAD")
    git("update-ref", "refs/exps/exec/EXEC_HEAD", "HEAD")
    return tmp_path


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("revision", ["HEAD", "workspace", "base-0"])
def test_files_of_commits_experiments_and_the_workspace_are_read(revision):
    with revisions.opened(revision) as files:
        assert files.read_text("a.csv", encoding="utf-8") == "image_id\nx\n"


@pytest.mark.usefixtures("project")
def test_an_unknown_revision_is_one_line_that_names_the_experiments():
    with pytest.raises(UserError) as caught, revisions.opened("nosuch"):
        pass
    assert str(caught.value) == (
        "unknown revision: expected a Git revision, an experiment name or `workspace`, found `nosuch`; "
        "known experiments: base-0, wide-0"
    )


@pytest.mark.usefixtures("project")
@pytest.mark.parametrize("revision", ["HEAD", "workspace"])
def test_a_file_that_a_revision_does_not_have_is_one_line(revision):
    with pytest.raises(UserError, match=rf"^none\.csv: expected this file in `{revision}`.*`dvc repro`"):
        read("none.csv", revision)


def read(path, revision):
    with revisions.opened(revision) as files:
        files.read_text(path)


def test_a_folder_without_git_is_one_line_with_the_message_of_git(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(ProgramError, match="fatal: not a git repository"):
        read("a.csv", "HEAD")


def test_a_folder_without_dvc_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    git("init", "-q")
    with pytest.raises(UserError, match=r"^a\.csv: expected this file in `workspace`"):
        read("a.csv", "workspace")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository to another user")
def test_the_advice_of_git_on_a_project_of_another_user_is_shown(project, monkeypatch):
    monkeypatch.delenv("SUDO_UID", raising=False)
    monkeypatch.setenv("HOME", str(project / "home"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for path in (project, *project.rglob("*")):
        os.chown(path, 12345, 12345)
    for revision in ("HEAD", "workspace"):
        with pytest.raises(ProgramError, match=r"git config --global --add safe.directory"):
            read("a.csv", revision)


@pytest.mark.usefixtures("project")
def test_the_command_prints_one_line(tmp_path):
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, [compare.__file__.rpartition("/stages/")[0]]))}
    words = [sys.executable, "-m", "stages", "compare", "nosuch", "workspace"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("compare: unknown revision: ") and "found `nosuch`" in done.stderr
