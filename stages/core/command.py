"""How every command ends: a line says what went wrong; a stack trace stands only where the fault is the code's."""

import os
import sys
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import stages

# What the machine may do to any command: a full disk, a folder that is read-only, a worker killed for its memory.
_OUTSIDE = (OSError, MemoryError, BrokenProcessPool, FloatingPointError)


def is_expected_error(error: BaseException) -> bool:
    """Whether the error's own text says all: this project's errors do, and those of files, memory and processes."""
    origin = type(error).__module__
    return origin.split(".")[0] in ("__main__", stages.__name__) or isinstance(error, _OUTSIDE)


def run(main: Callable[[], None]) -> None:
    """Call `main`; end with a line on standard error and exit code 1 on an error that tells all, 130 on Ctrl-C."""
    script = Path(sys.argv[0])
    verb = script.parent.name if script.stem == "__main__" else script.stem
    try:
        main()
    except KeyboardInterrupt:
        print(f"\n{verb}: stopped; the same command goes on with what is missing", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if not is_expected_error(error):
            raise
        sys.exit(f"{verb}: {str(error) or type(error).__name__}")


def environment() -> dict[str, str]:
    """This process's variables with its interpreter first on the path, so that `dvc` and `python` are its own."""
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": paths}
