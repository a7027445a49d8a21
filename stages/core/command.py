"""What every command shares: its name in usage and error lines, and how errors end it."""

import os
import sys
from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import stages
from stages.core.errors import UserError

_PACKAGE = Path(stages.__file__).parent
_USAGE = "python -m stages "
# Failures of the machine: a full disk, a read-only folder, a worker killed for its memory.
_MACHINE_ERRORS = (OSError, MemoryError, BrokenProcessPool)


def is_expected_error(error: BaseException) -> bool:
    """Whether the message is enough without a traceback: for what a user can cause, files, memory and processes."""
    return isinstance(error, (UserError, *_MACHINE_ERRORS))


def program_name(script: Path) -> str:
    """The name of a script in usage lines: `python -m stages crop` for a module of this package, else its stem."""
    path = script.resolve()
    if not path.is_relative_to(_PACKAGE):
        return script.stem
    parts = [part for part in path.relative_to(_PACKAGE).with_suffix("").parts if part not in ("commands", "__main__")]
    return usage_name(".".join(parts))


def usage_name(name: str) -> str:
    """The name in usage lines of the stage or command `name`, such as `crop` or `sample.render`."""
    return _USAGE + name


def run(main: Callable[[], None]) -> None:
    """Call `main`; on an expected error print one line to standard error and exit with 1, on Ctrl-C with 130.

    Usage lines of argparse, which takes the name from `sys.argv`, name the command as it is run from the listing.
    """
    if not sys.argv[0].startswith(_USAGE):
        sys.argv[0] = program_name(Path(sys.argv[0]))
    verb = sys.argv[0].removeprefix(_USAGE).rpartition(".")[2] or "stages"
    try:
        main()
    except KeyboardInterrupt:
        print(f"\n{verb}: interrupted; run the same command again", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        if not is_expected_error(error):
            raise
        sys.exit(f"{verb}: {one_line(error)}")


def one_line(error: BaseException) -> str:
    """The text of an error on one line; the name of its class if it has none."""
    return " ".join(line.strip() for line in str(error).splitlines() if line.strip()) or type(error).__name__


def environment() -> dict[str, str]:
    """This process's environment variables with its interpreter first on the path, so that it finds its own `dvc`."""
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": paths}
