"""Restore lock files of DVC that a kill left truncated.

DVC 3.67 overwrites dvc.lock and .dvc/tmp/rwlock in place. A kill during the write leaves a truncated file, with which
no DVC command starts. Nothing is lost: DVC's run cache holds the stages that had finished.
"""

import argparse
import json
from pathlib import Path

import yaml
from dvc.schema import COMPILED_LOCKFILE_SCHEMA
from voluptuous import Invalid

from stages.core import atomic, command, programs

_RWLOCK = Path(".dvc/tmp/rwlock")


def is_valid(text: str) -> bool:
    """Whether the text is a dvc.lock by the schema of DVC."""
    try:
        COMPILED_LOCKFILE_SCHEMA(yaml.safe_load(text))
    except (yaml.YAMLError, Invalid):
        return False
    return True


def is_truncated(text: str) -> bool:
    """Whether DVC would reject the text as truncated; a file with merge conflicts is for the user to resolve."""
    return not is_valid(text) and "<<<<<<< " not in text


def lock_files() -> list[Path]:
    """The existing lock files beside the dvc.yaml files that git tracks."""
    listing = programs.output("git", "ls-files", "-z", "dvc.yaml", "**/dvc.yaml")
    paths = [Path(name).with_name("dvc.lock") for name in listing.split("\0") if name]
    return [path for path in paths if path.is_file()]


def restore_lock(path: Path) -> str:
    """Restore a dvc.lock from the last commit, or remove it if the commit has none; return what was done."""
    committed = f"HEAD:./{path.as_posix()}"
    if programs.succeeds("git", "cat-file", "-e", committed):
        text = programs.output("git", "show", committed)
        if is_valid(text):
            atomic.write_text(path, text)
            return "restored from the last commit"
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
    """Repair the truncated files; return what was done to each."""
    truncated = [path for path in lock_files() if is_truncated(path.read_text(encoding="utf-8", errors="replace"))]
    actions = {path: restore_lock(path) for path in truncated}
    if _RWLOCK.is_file() and not is_json(_RWLOCK):
        _RWLOCK.unlink()
        actions[_RWLOCK] = "removed"
    return actions


def main() -> None:
    """Repair, and print what was done."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    for path, action in repair().items():
        print(f"repair_lock: {path} was truncated: {action}")


if __name__ == "__main__":
    command.run(main)
