"""Let `dvc repro` go on after a kill that fell into the middle of DVC's own writing.

DVC 3.67 writes dvc.lock and .dvc/tmp/rwlock over the old content, so that such a kill leaves half a file, with which no
DVC command starts. Neither holds what is nowhere else: a stage that had ended comes back from DVC's run cache.
"""

import argparse
import json
import subprocess
from pathlib import Path

import yaml
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from voluptuous import Invalid

from stages.core import atomic, command

_HELD = Path(".dvc/tmp/rwlock")


def is_whole(text: str) -> bool:
    """Whether DVC would take the text for a dvc.lock."""
    try:
        COMPILED_LOCKFILE_SCHEMA(yaml.safe_load(text))
    except (yaml.YAMLError, Invalid):
        return False
    return True


def is_truncated(text: str) -> bool:
    """Whether DVC would refuse the text for being half written; one that git could not merge is for people to mend."""
    return not is_whole(text) and "<<<<<<< " not in text


def lock_files() -> list[Path]:
    """The lock file beside each dvc.yaml that git knows, where there is one."""
    found = subprocess.run(["git", "ls-files", "-z", "dvc.yaml", "**/dvc.yaml"], capture_output=True, check=True)
    paths = [Path(name).with_name("dvc.lock") for name in found.stdout.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


def restore_lock(path: Path) -> str:
    """Give a dvc.lock the content that it has in the last commit; without one, remove it. Which of the two."""
    found = subprocess.run(["git", "show", f"HEAD:./{path.as_posix()}"], capture_output=True, text=True, check=False)
    if found.returncode == 0 and is_whole(found.stdout):
        atomic.write_text(path, found.stdout)
        return "now as in the last commit"
    path.unlink()
    return "removed"


def is_json(path: Path) -> bool:
    """Whether the content of a file is JSON."""
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True


def repair() -> dict[Path, str]:
    """Mend what DVC left half written: the files, and what was done to each."""
    broken = [path for path in lock_files() if is_truncated(path.read_text(encoding="utf-8", errors="replace"))]
    done = {path: restore_lock(path) for path in broken}
    if _HELD.is_file() and not is_json(_HELD):
        _HELD.unlink()
        done[_HELD] = "removed"
    return done


def main() -> None:
    """Mend, and say what."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    for path, done in repair().items():
        print(f"mend: {path} was half written: {done}")


if __name__ == "__main__":
    command.run(main)
