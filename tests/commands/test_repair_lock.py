import os
import subprocess
from pathlib import Path

import pytest

from stages.commands import repair_lock
from stages.core.programs import ProgramError

pytestmark = pytest.mark.usefixtures("folder")
LOCK = """schema: '2.0'
stages:
  one:
    cmd: work
    deps:
    - path: a.txt
      hash: md5
      md5: d41d8cd98f00b204e9800998ecf8427e
      size: 0
    outs:
    - path: b.txt
      hash: md5
      md5: d41d8cd98f00b204e9800998ecf8427e
      size: 0
"""


def git(*words):
    subprocess.run(["git", "-c", "user.name=test", "-c", "user.email=test@example.invalid", *words], check=True)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A repository with two dvc.yaml, one of them not at the top, and their lock files committed."""
    monkeypatch.chdir(tmp_path)
    for name in (".", "data/ä b"):
        Path(name).mkdir(parents=True, exist_ok=True)
        (Path(name) / "dvc.yaml").write_text("stages: {}\n")
        (Path(name) / "dvc.lock").write_text(LOCK)
    Path(".dvc/tmp").mkdir(parents=True)
    Path(".gitignore").write_text(".dvc\n")
    git("init", "-q")
    git("add", "-A")
    git("commit", "-q", "-m", "start")


def test_valid_files_are_not_changed():
    newer = LOCK.replace("one", "two")
    Path("dvc.lock").write_text(newer)
    Path(".dvc/tmp/rwlock").write_text('{"write": {}, "read": {}}')
    assert repair_lock.repair() == {}
    assert Path("dvc.lock").read_text() == newer and Path(".dvc/tmp/rwlock").is_file()


@pytest.mark.parametrize("folder_name", [".", "data/ä b"])
def test_a_lock_file_truncated_anywhere_is_restored_unless_dvc_can_read_it(folder_name):
    path = Path(folder_name) / "dvc.lock"
    repaired = 0
    for length in range(len(LOCK)):
        path.write_text(LOCK[:length])
        if repair_lock.repair():
            assert path.read_text() == LOCK
            repaired += 1
        else:
            assert path.read_text() == LOCK[:length] and repair_lock.is_valid(LOCK[:length])
    assert repaired > 50


def test_a_lock_file_with_merge_conflicts_is_not_changed():
    conflict = LOCK.replace("      size: 0\n", "<<<<<<< HEAD\n      size: 0\n=======\n      size: 1\n>>>>>>> other\n")
    Path("dvc.lock").write_text(conflict)
    assert not repair_lock.is_valid(conflict)
    assert repair_lock.repair() == {} and Path("dvc.lock").read_text() == conflict


def test_a_lock_file_that_was_never_committed_is_removed(capsys, monkeypatch):
    git("rm", "-q", "--cached", "dvc.lock")
    git("commit", "-q", "-m", "without")
    Path("dvc.lock").write_bytes(b"")
    monkeypatch.setattr("sys.argv", ["repair_lock"])
    repair_lock.main()
    assert not Path("dvc.lock").exists() and Path("data/ä b/dvc.lock").read_text() == LOCK
    assert capsys.readouterr().out == "repair_lock: dvc.lock was truncated: removed\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository to another user")
def test_in_a_project_of_another_user_the_advice_of_git_is_shown(tmp_path, monkeypatch):
    monkeypatch.delenv("SUDO_UID", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    for path in (tmp_path, tmp_path / ".git"):
        os.chown(path, 12345, 12345)
    with pytest.raises(ProgramError, match=r"git config --global --add safe.directory"):
        repair_lock.repair()


@pytest.mark.parametrize("content", [b"", b'{"write": {"a', b"\xff\xfe"])
def test_a_truncated_rwlock_is_removed(content):
    Path(".dvc/tmp/rwlock").write_bytes(content)
    assert repair_lock.repair() == {Path(".dvc/tmp/rwlock"): "removed"} and not Path(".dvc/tmp/rwlock").exists()
    assert repair_lock.repair() == {}
