"""What is seen on the terminal when a command fails, with processes of their own."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from stages.core import command, settings, tables

ROOT = Path(__file__).parents[2]
STUB = "import time\nfrom stages.core import command\ndef main():\n    {body}\ncommand.run(main)\n"


def start(tmp_path, body, **variables):
    (tmp_path / "work.py").write_text(STUB.format(body=body))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, str(tmp_path / "work.py")]
    # What runs in the background of a shell is told to ignore Ctrl-C, and so are all its children.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=heed)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("raise OSError(28, 'No space left on device', 'a.png')", "work: [Errno 28] No space left on device: 'a.png'"),
        ("open('/nowhere/at/all')", "work: [Errno 2] No such file or directory: '/nowhere/at/all'"),
        ("raise MemoryError", "work: MemoryError"),
        ("raise FloatingPointError('the loss is nan')", "work: the loss is nan"),
        ("raise type('OwnError', (ValueError,), {})('row 3: expected a number')", "work: row 3: expected a number"),
    ],
)
def test_what_people_can_mend_is_one_line(tmp_path, body, told):
    process = start(tmp_path, body)
    assert process.communicate()[1] == f"{told}\n" and process.returncode == 1


def test_commands_find_this_interpreter_first():
    found = subprocess.run(["python", "-c", "import sys; print(sys.executable)"], env=command.environment(), text=True,
                           capture_output=True, check=True)  # fmt: skip
    assert Path(found.stdout.strip()).parent == Path(sys.executable).parent


def test_a_fault_of_the_code_keeps_its_stack_trace(tmp_path):
    process = start(tmp_path, "raise KeyError('column')")
    shown = process.communicate()[1]
    assert process.returncode == 1 and "Traceback" in shown and "KeyError: 'column'" in shown


def test_ctrl_c_ends_with_one_line_and_130(tmp_path):
    process = start(tmp_path, "open('{}', 'w'); time.sleep(60)".format(tmp_path / "begun"))
    while not (tmp_path / "begun").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    shown = process.communicate(timeout=30)[1]
    assert shown == "\nwork: stopped; the same command goes on with what is missing\n" and process.returncode == 130


def test_an_exit_code_of_its_own_is_kept(tmp_path):
    process = start(tmp_path, "raise SystemExit(3)")
    assert process.wait() == 3 and process.communicate()[1] == ""


def test_this_projects_errors_tell_all_and_those_of_others_do_not():
    assert command.is_expected_error(settings.SettingsError("x")) and command.is_expected_error(tables.TableError("x"))
    assert not any(
        map(command.is_expected_error, (ValueError("x"), RuntimeError("x"), KeyError("x"), AssertionError()))
    )


@pytest.mark.parametrize("path", sorted((ROOT / "stages").glob("*.py")), ids=lambda path: path.stem)
def test_every_command_ends_so(path):
    text = path.read_text(encoding="utf-8")
    assert path.stem == "__init__" or "main()" not in text or text.endswith('__main__":\n    command.run(main)\n')
