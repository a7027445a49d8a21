"""Programs that fail: each is one line with the program's own message."""

import os
import subprocess
import sys

import pytest

from stages.core import programs
from stages.core.programs import ProgramError

PYTHON = sys.executable


def test_the_output_of_a_program_is_returned(tmp_path):
    code = "import os, sys; print(os.getcwd()); print('note', file=sys.stderr)"
    assert programs.output(PYTHON, "-c", code, folder=tmp_path) == f"{tmp_path}\n"


def test_a_failure_holds_program_status_and_last_line(tmp_path):
    code = "import sys; print('one', file=sys.stderr); sys.exit('two')"
    with pytest.raises(ProgramError, match=r"^`python\S* -c 'import sys.*`: expected exit status 0, found 1: two$"):
        programs.output(PYTHON, "-c", code, folder=tmp_path)


def test_without_error_output_the_last_line_of_the_output_is_taken():
    with pytest.raises(ProgramError, match=r"found 3: why$"):
        programs.output(PYTHON, "-c", "print('why'); exit(3)")
    with pytest.raises(ProgramError, match=r"found 3: it printed nothing$"):
        programs.output(PYTHON, "-c", "exit(3)")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ""),
        ("one\ntwo\n\n", "two"),
        ("fatal: not of '/x'\nTo allow:\n\n\tgit add /x\n", "fatal: not of '/x' To allow: git add /x"),
        ("hint\nERROR: no version\nERROR: no distribution\n", "ERROR: no version ERROR: no distribution"),
        ("error: first\nnote\nnote\nerror: last", "error: last"),
        ("fatal: a\n1\n2\n3\n4\n5", "fatal: a 1 2 3"),
        ("npm error code E404\nnpm error 404 Not Found", "npm error code E404 npm error 404 Not Found"),
        ("Traceback (most recent call last):\n  File\nKeyError: 'a'", "KeyError: 'a'"),
    ],
)  # fmt: skip
def test_the_message_is_the_last_marked_error_with_what_follows(text, message):
    assert programs.last_message(text) == message


def test_a_missing_program_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ProgramError, match=r"^git: expected this program on the path, found none; install it"):
        programs.output("git", "status")
    (tmp_path / "git").write_text("")
    (tmp_path / "git").chmod(0o755)
    with pytest.raises(ProgramError, match=r"^git: .*found Exec format error"):
        programs.succeeds("git", "status")


def test_a_missing_folder_is_not_taken_for_a_missing_program(tmp_path):
    with pytest.raises(ProgramError, match=rf"^{tmp_path}/none: expected a folder to run `git` in, found none$"):
        programs.output("git", "status", folder=tmp_path / "none")


def test_a_program_on_the_terminal_has_printed_its_message_itself(capfd):
    with pytest.raises(ProgramError, match=r"found 1: see its messages above$"):
        programs.run(PYTHON, "-c", "import sys; sys.exit('broken')", env=os.environ)
    assert capfd.readouterr().err == "broken\n"


def test_of_a_logged_program_the_last_message_is_taken_from_the_log(tmp_path):
    log = tmp_path / "a.log"
    programs.run_logged(PYTHON, "-c", "print('well')", folder=tmp_path, env=os.environ, log=log)
    assert log.read_text() == "well\n"
    with pytest.raises(ProgramError, match=rf"found 1: broken; see {log}$"):
        programs.run_logged(PYTHON, "-c", "exit('broken')", folder=tmp_path, env=os.environ, log=log)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a repository to another user")
def test_the_advice_of_git_on_a_repository_of_another_user_is_shown(tmp_path, monkeypatch):
    # Git accepts root's own repositories under sudo too, and those that the user's settings name.
    monkeypatch.delenv("SUDO_UID", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    folder = tmp_path / "project"
    subprocess.run(["git", "init", "-q", folder], check=True)
    for path in (folder, folder / ".git"):
        os.chown(path, 12345, 12345)
    with pytest.raises(ProgramError, match=r"found 128: fatal: .* git config --global --add safe.directory"):
        programs.output("git", "ls-files", folder=folder)


def streamed(code):
    lines, states = [], []
    try:
        programs.run_streamed(sys.executable, "-c", code, on_line=lines.append, on_state=states.append)
    except programs.ProgramError as error:
        return lines, states, str(error)
    return lines, states, ""


def test_streamed_output_comes_line_by_line_and_states_of_a_bar_one_by_one():
    code = """
import sys, time
print("é first", flush=True)
for share in (10, 60, 100):
    print(f"\\rbar {share}%| ", end="", file=sys.stderr, flush=True)
    time.sleep(0.3)
print(file=sys.stderr)
print("last", end="")
"""
    lines, states, error = streamed(code)
    assert lines == ["é first", "bar 100%|"] and error == ""
    # Each write may come alone, that of "last" at the end of the output.
    assert [state for state in states if state != "é first"] == ["bar 10%|", "bar 60%|", "bar 100%|", "last"]


def test_a_streamed_program_that_fails_is_an_error_with_its_last_message():
    lines, _, error = streamed("import sys; print('before'); sys.exit('fatal: no more room')")
    assert lines == ["before", "fatal: no more room"]
    assert error.endswith("expected exit status 0, found 1: fatal: no more room")
    with pytest.raises(programs.ProgramError, match="nowhere: expected this program on the path"):
        programs.run_streamed("nowhere", on_line=print, on_state=print)
