"""A Python environment of its own, made from a lock file on demand, for what cannot live beside everything else."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from stages.core import atomic

_VERSION = (3, 11)


class SetupError(RuntimeError):
    """The environment could not be made."""


def ensure(folder: Path, requirements: Path) -> Path:
    """The interpreter of the environment in `folder`, which is made anew unless it was made from `requirements`.

    `requirements` pins every package with its hash. A mark is written last, so that what an interruption left is
    never taken for an environment. Raises SetupError, which says what is missing.
    """
    python, mark = folder / "bin" / "python", folder / "made_from"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if mark.is_file() and mark.read_text(encoding="utf-8") == digest:
        return python
    print(f"{folder}: making the environment of {requirements}", flush=True)
    _run([find_python(), "-m", "venv", "--clear", str(folder)], "the venv module; try: apt-get install python3.11-venv")
    install = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
    # Nothing to resolve: the file names every package, and older releases of pip resolve extras past its pins.
    install += ["--no-deps", "--require-hashes", "-r", str(requirements)]
    _run(install, f"every package of {requirements} from pip's registry")
    atomic.write_text(mark, digest)
    return python


def find_python() -> str:
    """The command of a Python of the version that the lock files are for. Raises SetupError when there is none."""
    if sys.version_info[:2] == _VERSION:
        return sys.executable
    name = "python{}.{}".format(*_VERSION)
    found = shutil.which(name)
    if found is None:
        raise SetupError(f"{name}: expected this command on the path, found none; try: apt-get install {name}-venv")
    return found


def _run(command: list[str], expected: str) -> None:
    code = subprocess.run(command, check=False).returncode
    if code != 0:
        raise SetupError(f"{' '.join(command)}: expected {expected}; found exit code {code}, its message stands above")
