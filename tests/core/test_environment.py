import sys

import pytest

from stages.core import environment
from stages.core.environment import SetupError


@pytest.fixture
def calls(monkeypatch):
    """Commands are recorded, not run; each ends with the next exit status of `codes`, 0 without one."""
    recorded, codes = [], []

    def run(*command):
        recorded.append(list(command))
        if codes and codes.pop(0):
            raise environment.programs.ProgramError("`pip`: expected exit status 0, found 1")

    monkeypatch.setattr(environment.programs, "run", run)
    monkeypatch.setattr(environment, "find_python", lambda: "python3.11")
    return recorded, codes


def test_an_environment_is_made_once_and_again_after_a_change_of_its_packages(tmp_path, calls):
    recorded, _ = calls
    folder, lock = tmp_path / "env", tmp_path / "a.lock"
    folder.mkdir()
    lock.write_text("a==1")
    for _ in range(2):
        assert environment.ensure(folder, lock) == folder / "bin" / "python"
    assert recorded[0] == ["python3.11", "-m", "venv", "--clear", str(folder)] and len(recorded) == 2
    assert recorded[1][0] == str(folder / "bin" / "python")
    assert recorded[1][-4:] == ["--no-deps", "--require-hashes", "-r", str(lock)]
    lock.write_text("a==2")
    environment.ensure(folder, lock)
    assert len(recorded) == 4


@pytest.mark.parametrize(("failing", "part"), [([1], "python3.11-venv"), ([0, 1], "every package of")])
def test_an_unfinished_environment_is_made_again(tmp_path, calls, failing, part):
    recorded, codes = calls
    (tmp_path / "a.lock").write_text("a==1")
    codes.extend(failing)
    with pytest.raises(SetupError, match=part):
        environment.ensure(tmp_path / "env", tmp_path / "a.lock")
    recorded.clear()
    (tmp_path / "env").mkdir()
    environment.ensure(tmp_path / "env", tmp_path / "a.lock")
    assert len(recorded) == 2


def test_the_python_of_the_lock_file_is_this_one_or_one_on_the_path(tmp_path, monkeypatch):
    monkeypatch.setattr(environment.sys, "version_info", (3, 11, 4))
    assert environment.find_python() == sys.executable
    monkeypatch.setattr(environment.sys, "version_info", (3, 13, 0))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match=r"python3\.11: expected this command on the path"):
        environment.find_python()
    (tmp_path / "python3.11").write_text("")
    (tmp_path / "python3.11").chmod(0o755)
    assert environment.find_python() == str(tmp_path / "python3.11")
