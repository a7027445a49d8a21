"""Files of models and segmenters that params.yaml no longer names."""

import shutil
import sys
from collections.abc import Iterable
from pathlib import Path


def remove(folder: Path, names: Iterable[str], *patterns: str) -> list[Path]:
    """Remove the entries of `folder` that match one of `patterns` for none of `names`; return them, sorted.

    In a pattern such as `{}.csv` or `{}/model.json`, `{}` stands for the name. Of a pattern with a folder, the whole
    folder is removed. Hidden entries stay.
    """
    known = list(names)
    expected = {folder / pattern.format(name) for pattern in patterns for name in known}
    matches = {path for pattern in patterns for path in folder.glob(pattern.format("*"))}
    entries = {folder / path.relative_to(folder).parts[0] for path in matches - expected}
    stale = sorted(path for path in entries if not path.name.startswith("."))
    for path in stale:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return stale


def print_removed(stage: str, paths: Iterable[Path], kind: str) -> None:
    """Print one line on standard error about removed `paths`; `kind` is what they belonged to, such as `model`."""
    names = ", ".join(map(str, paths))
    if names:
        print(
            f"{stage}: removed {names}: params.yaml names no such {kind}; Git or DVC's cache still has them",
            file=sys.stderr,
        )
