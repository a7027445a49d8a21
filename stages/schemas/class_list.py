"""data/classes.txt: the names of the classes, one a line; their order is the order of all probabilities."""

from pathlib import Path

from stages.core.errors import TableError


def read_classes(path: Path) -> list[str]:
    """Read the class names. Raises TableError unless there are two or more, all different."""
    try:
        classes = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise TableError(f"{path}: expected a list of classes, found none; run `dvc repro`") from None
    if len(classes) < 2 or len(set(classes)) != len(classes) or "" in classes:
        raise TableError(f"{path}: expected two or more different names, one a line, found {classes}")
    return classes
