"""What a command that fails prints, in processes of their own."""

import ast
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from stages.core import command, settings
from stages.core.errors import TableError

ROOT = Path(__file__).parents[2]
STUB = "import time\nfrom stages.core import command, errors\ndef main():\n    {body}\ncommand.run(main)\n"


def start(tmp_path, body, **variables):
    (tmp_path / "work.py").write_text(STUB.format(body=body))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, str(tmp_path / "work.py")]
    # A background process of a shell ignores Ctrl-C, and so do its children.
    restore = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=restore)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("raise OSError(28, 'No space left on device', 'a.png')", "work: [Errno 28] No space left on device: 'a.png'"),
        ("open('/nowhere/at/all')", "work: [Errno 2] No such file or directory: '/nowhere/at/all'"),
        ("raise MemoryError", "work: MemoryError"),
        ("raise errors.UserError('row 3: expected a number')", "work: row 3: expected a number"),
        ("raise errors.UserError('expected a, found:\\n  b\\n\\n')", "work: expected a, found: b"),
    ],
)
def test_expected_errors_are_one_line(tmp_path, body, line):
    process = start(tmp_path, body)
    assert process.communicate()[1] == f"{line}\n" and process.returncode == 1


def test_commands_find_this_interpreter_first():
    code = "import sys; print(sys.executable)"
    done = subprocess.run(["python", "-c", code], env=command.environment(), text=True, capture_output=True, check=True)
    assert Path(done.stdout.strip()).parent == Path(sys.executable).parent


@pytest.mark.parametrize(
    ("body", "last"),
    [
        ("raise KeyError('column')", "KeyError: 'column'"),
        # Also where the class is the project's own: what counts is the base class.
        ("raise type('OwnError', (ValueError,), {'__module__': 'stages.core.tables'})('x')", "OwnError: x"),
    ],
)
def test_a_bug_prints_a_traceback(tmp_path, body, last):
    process = start(tmp_path, body)
    printed = process.communicate()[1]
    assert process.returncode == 1 and "Traceback" in printed and last in printed.splitlines()[-1]


def test_ctrl_c_ends_with_one_line_and_130(tmp_path):
    process = start(tmp_path, "open('{}', 'w'); time.sleep(60)".format(tmp_path / "begun"))
    while not (tmp_path / "begun").exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    printed = process.communicate(timeout=30)[1]
    assert printed == "\nwork: interrupted; run the same command again\n" and process.returncode == 130


def test_another_exit_code_is_kept(tmp_path):
    process = start(tmp_path, "raise SystemExit(3)")
    assert process.wait() == 3 and process.communicate()[1] == ""


def test_errors_of_this_project_are_expected_and_others_are_not():
    assert command.is_expected_error(settings.SettingsError("x")) and command.is_expected_error(TableError("x"))
    assert not any(
        map(command.is_expected_error, (ValueError("x"), RuntimeError("x"), KeyError("x"), AssertionError()))
    )


def error_classes():
    """The exception classes of stages/, each with the names of its bases, read from the source."""
    for path in sorted((ROOT / "stages").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            bases = [ast.unparse(base) for base in node.bases] if isinstance(node, ast.ClassDef) else []
            if any(base.endswith(("Error", "Exception")) for base in bases):
                yield pytest.param(path, bases, id=node.name)


# One is raised and caught within the YAML reader; the other runs where no other module of the project can be imported.
NO_USER_ERRORS = {"_RefusedError", "CheckpointError", "UserError"}


@pytest.mark.parametrize(("path", "bases"), [case for case in error_classes() if case.id not in NO_USER_ERRORS])
def test_every_error_of_the_project_has_the_one_base_class(path, bases):
    assert bases[0] == "UserError", path


@pytest.mark.parametrize(
    ("script", "name"),
    [
        ("stages/crop/__main__.py", "python -m stages crop"),
        ("stages/check.py", "python -m stages check"),
        ("stages/commands/predict.py", "python -m stages predict"),
        ("stages/sample/render.py", "python -m stages sample.render"),
    ],
)
def test_usage_lines_name_the_command_as_the_listing_does(script, name):
    assert command.program_name(ROOT / script) == name


def test_a_script_elsewhere_has_its_own_name(tmp_path):
    assert command.program_name(tmp_path / "speed.py") == "speed"


# The dispatcher runs others' `main`, and GluonCV's export has an environment without the project's packages.
OTHERS = [ROOT / "stages" / "__main__.py", ROOT / "stages" / "pretrained" / "gluoncv" / "gluoncv_to_onnx.py"]


@pytest.mark.parametrize(
    "path", sorted(set((ROOT / "stages").rglob("*.py")) - set(OTHERS)), ids=lambda path: str(path.relative_to(ROOT))
)
def test_every_command_handles_errors_so(path):
    text = path.read_text(encoding="utf-8")
    assert "\ndef main(" not in text or text.endswith('\nif __name__ == "__main__":\n    command.run(main)\n')
