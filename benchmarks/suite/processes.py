"""The processes that measure, as the parent sees them."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

import stages
from benchmarks.suite.dvc_stages import ROOT

_LIMIT_SECONDS = 420


class ContenderError(Exception):
    """A contender cannot be measured; the text is one line that says why."""


def environment() -> dict[str, str]:
    """The variables for a child: the root importable, and none of the restrictions that this process has set itself.

    A child sets those that its own params.yaml asks for.
    """
    restricting = stages.kernel_variables("avx2 avx512f", stages.BITS)
    kept = {name: value for name, value in os.environ.items() if name not in restricting}
    paths = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
    return kept | {"PYTHONPATH": str(ROOT), "PATH": paths, "TF_CPP_MIN_LOG_LEVEL": "2"}


def last_line(text: str) -> str:
    """The last line of an error's text, at most 300 characters; what it says when there is none."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it ended without a message"


class Worker:
    """A started contender; each `round` gives its seconds, number of photos and peak memory so far (MiB)."""

    def __init__(self, work: str, folder: Path) -> None:
        self._log = folder / "worker.log"
        command = [sys.executable, "-m", "benchmarks.suite.worker", work]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment(),
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    def round(self, *, is_first: bool = False) -> dict[str, float]:
        """The figures of one round. Raises ContenderError if the process has ended, lacks something, or hangs."""
        if self._process.stdin is None or self._process.stdout is None:
            raise ContenderError("the process has no pipes")
        timer = threading.Timer(_LIMIT_SECONDS, self._process.kill)
        timer.start()
        try:
            if not is_first:
                self._process.stdin.write("run\n")
                self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            is_in_time = timer.is_alive()
            timer.cancel()
        if not line:
            found = last_line(self._log.read_text(encoding="utf-8", errors="replace"))
            raise ContenderError(found if is_in_time else f"no response in {_LIMIT_SECONDS} s")
        reply = json.loads(line)
        if "missing" in reply:
            raise ContenderError(reply["missing"])
        return dict(reply)
