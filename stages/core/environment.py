"""A separate Python environment, made from a lock file on demand, for packages that conflict with the project's."""

import hashlib
import shutil
import sys
from pathlib import Path

from stages.core import atomic, programs
from stages.core.errors import UserError

_VERSION = (3, 11)


class SetupError(UserError):
    """The environment could not be made."""


def ensure(folder: Path, requirements: Path) -> Path:
    """The interpreter of the environment in `folder`, which is created again unless it was made from `requirements`.

    `requirements` pins every package with its hash. A marker file is written last, so that an interrupted installation
    is never used. Raises SetupError, which says what is missing.
    """
    python, marker = folder / "bin" / "python", folder / "made_from"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if marker.is_file() and marker.read_text(encoding="utf-8") == digest:
        return python
    print(f"{folder}: making the environment of {requirements}", flush=True)
    _run([find_python(), "-m", "venv", "--clear", str(folder)], "the venv module; try: apt-get install python3.11-venv")
    install = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
    # Nothing is resolved: the file lists every package, and older releases of pip resolve extras past its pins.
    install += ["--no-deps", "--require-hashes", "-r", str(requirements)]
    _run(install, f"every package of {requirements} from pip's registry")
    atomic.write_text(marker, digest)
    return python


def find_python() -> str:
    """The command of a Python of the version that the lock files are for. Raises SetupError when there is none."""
    if sys.version_info[:2] == _VERSION:
        return sys.executable
    name = "python{}.{}".format(*_VERSION)
    path = shutil.which(name)
    if path is None:
        raise SetupError(f"{name}: expected this command on the path, found none; try: apt-get install {name}-venv")
    return path


def _run(command: list[str], expected: str) -> None:
    try:
        programs.run(*command)
    except programs.ProgramError as error:
        raise SetupError(f"expected {expected}; found: {error}") from None
