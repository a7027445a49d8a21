"""Other programs, such as git and dvc: a failure is one line that holds the program's own message."""

import os
import re
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from stages.core.errors import UserError

# How git, dvc, pip and npm mark the first line of what went wrong; advice may follow it.
_MARKED = re.compile(r"(fatal|error):|npm error\b", re.IGNORECASE)
_MAX_LINES, _MAX_COMMAND = 4, 120
_CHUNK = 65_536
Words = Sequence[str | Path]


class ProgramError(UserError):
    """A program is missing, or its exit status is not 0."""


def output(*words: str | Path, folder: Path = Path()) -> str:
    """Run a program in `folder` and return what it prints. Raises ProgramError with its own message."""
    done = _run(words, folder, None, subprocess.PIPE, subprocess.PIPE)
    require_success(words, done)
    return done.stdout


def succeeds(*words: str | Path, folder: Path = Path()) -> bool:
    """Whether a program ends with the exit status 0; its output is dropped. Raises ProgramError if it is missing."""
    return _run(words, folder, None, subprocess.PIPE, subprocess.PIPE).returncode == 0


def run(*words: str | Path, folder: Path = Path(), env: Mapping[str, str] | None = None) -> None:
    """Run a program in `folder`, its output on the terminal. Raises ProgramError with its exit status."""
    require_success(words, _run(words, folder, env, None, None))


def run_logged(*words: str | Path, folder: Path, env: Mapping[str, str], log: Path) -> None:
    """Run a program in `folder` with its output in the file `log`. Raises ProgramError with its last message."""
    with log.open("w", encoding="utf-8") as stream:
        status = _run(words, folder, env, stream.fileno(), subprocess.STDOUT).returncode
    if status:
        message = last_message(log.read_text(encoding="utf-8", errors="replace"))
        raise ProgramError(f"{_shown(words)}: expected exit status 0, found {status}: {message}; see {log}")


def run_streamed(*words: str | Path, on_line: Callable[[str], None], on_state: Callable[[str], None]) -> None:
    """Run a program and hand on its output line by line, errors among it, as it comes.

    `on_state` gets each state of a line that is written over, such as a progress bar; `on_line` gets the last one.
    Raises ProgramError with the program's last message.
    """
    command, last, rest = [str(word) for word in words], [""] * _MAX_LINES, b""
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise _not_started(command[0], error) from None
    with process:
        descriptor = process.stdout.fileno() if process.stdout else -1  # a pipe was asked for
        while content := os.read(descriptor, _CHUNK):
            *lines, rest = (rest + content).split(b"\n")
            for line in map(_last_state, lines):
                if line:
                    last = [*last[1:], line]
                    on_line(line)
            if state := _last_state(rest):
                on_state(state)
    if process.returncode:
        status, message = process.returncode, last_message("\n".join([*last, _last_state(rest)]))
        raise ProgramError(f"{_shown(words)}: expected exit status 0, found {status}: {message}")


def _last_state(line: bytes) -> str:
    """What a terminal shows of a line that a carriage return begins anew."""
    return line.decode(errors="replace").rstrip().rpartition("\r")[2].rstrip()


def require_success(words: Words, done: "subprocess.CompletedProcess[str]") -> None:
    """Raise ProgramError with the program's own message unless its exit status is 0."""
    if done.returncode:
        message = "see its messages above"
        if done.stderr is not None:
            message = last_message(done.stderr) or last_message(done.stdout or "") or "it printed nothing"
        raise ProgramError(f"{_shown(words)}: expected exit status 0, found {done.returncode}: {message}")


def last_message(text: str) -> str:
    """Return the end of a program's error output as one line: the last error that it marks, or else its last line.

    What follows the mark is kept, up to four lines in all: git's advice stands there.
    """
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    marked = [number for number, line in enumerate(lines) if _MARKED.match(line)]
    # Consecutive marked lines are one message.
    while len(marked) > 1 and marked[-2] == marked[-1] - 1:
        marked.pop()
    return " ".join(lines[marked[-1] :][:_MAX_LINES] if marked else lines[-1:])


def _run(
    words: Words, folder: Path, env: Mapping[str, str] | None, stdout: int | None, stderr: int | None
) -> "subprocess.CompletedProcess[str]":
    command = [str(word) for word in words]
    try:
        return subprocess.run(
            command, cwd=folder, env=env, stdout=stdout, stderr=stderr, text=True, errors="replace", check=False
        )
    except OSError as error:
        if not folder.is_dir():
            raise ProgramError(f"{folder}: expected a folder to run `{command[0]}` in, found none") from None
        raise _not_started(command[0], error) from None


def _not_started(program: str, error: OSError) -> ProgramError:
    problem = "none" if isinstance(error, FileNotFoundError) else os.strerror(error.errno or 0)
    return ProgramError(f"{program}: expected this program on the path, found {problem}; install it or extend PATH")


def _shown(words: Words) -> str:
    command = shlex.join([Path(words[0]).name, *map(str, words[1:])])
    return f"`{command if len(command) <= _MAX_COMMAND else command[:_MAX_COMMAND] + '...'}`"
