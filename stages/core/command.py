"""Error handling of every command: expected errors print one line; bugs print a traceback."""

import os
import sys
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import stages

# Failures of the machine: a full disk, a read-only folder, a worker killed for its memory.
_MACHINE_ERRORS = (OSError, MemoryError, BrokenProcessPool, FloatingPointError)


def is_expected_error(error: BaseException) -> bool:
    """Whether the message is enough without a traceback: for errors of this project, files, memory and processes."""
    origin = type(error).__module__
    return origin.split(".")[0] in ("__main__", stages.__name__) or isinstance(error, _MACHINE_ERRORS)


def run(main: Callable[[], None]) -> None:
    """Call `main`; on an expected error print one line to standard error and exit with 1, on Ctrl-C with 130."""
    script = Path(sys.argv[0])
    verb = script.parent.name if script.stem == "__main__" else script.stem
    try:
        main()
    except KeyboardInterrupt:
        print(f"\n{verb}: interrupted; run the same command again to continue", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if not is_expected_error(error):
            raise
        sys.exit(f"{verb}: {str(error) or type(error).__name__}")


def environment() -> dict[str, str]:
    """This process's environment variables with its interpreter first on the path, so that it finds its own `dvc`."""
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": paths}
