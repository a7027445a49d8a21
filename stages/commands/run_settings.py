"""Whether params.yaml still has the settings of the run that trained the models, as DVC wrote them into dvc.lock."""

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from textwrap import shorten
from typing import Any

from stages.core import yaml_file
from stages.core.yaml_file import SettingsError

# Of these sections the entries count that a stage records by name; `runtime` changes no result but last digits.
_IGNORED = {"models", "students", "inputs", "segmenters", "runtime"}
_MAX_SHOWN, _MAX_CHARACTERS = 4, 60
_TRIES, _WAIT_S = 20, 0.1


def stages_before(inputs: Iterable[str]) -> set[str]:
    """The stages whose parameters decide how a photo becomes one of the named `inputs`."""
    return {"detect", "crop", "segment", "mask", *(f"resize@{name}" for name in inputs)}


def stages_of(models: Mapping[str, str], section: str) -> set[str]:
    """The stages whose parameters decide what `models`, inputs by name, of a `section` of params.yaml predict."""
    names = stages_before(models.values())
    of_each = ("train", "evaluate") if section == "models" else ("train_students", "evaluate_students")
    names |= {f"{stage}@{name}" for stage in of_each for name in models}
    return names | ({"ensemble", "novelty"} if section == "models" else set())


def changes(params: Path, lock: Path, stages: set[str]) -> list[str]:
    """The settings of `params` that differ from those that `lock` records for `stages`, such as `tta.mode: a, now b`.

    They are sorted; `segment` stands for all segmenters. Without a lock file there are none. Raises SettingsError for
    files that cannot be read.
    """
    if not lock.is_file():
        return []
    now, found = yaml_file.load(params), set()
    for name, stage in _read_lock(lock).get("stages", {}).items():
        if not stages & {name, name.partition("@")[0] if name.startswith("segment@") else name}:
            continue
        for key, then in stage.get("params", {}).get(params.name, {}).items():
            if key.partition(".")[0] not in _IGNORED or ("." in key and not key.startswith("runtime.")):
                found |= set(_differences(key, then, _at(now, key)))
    return sorted(found)


def listed(found: list[str]) -> str:
    """The first of `changes`, and how many more there are."""
    more = len(found) - _MAX_SHOWN
    return "; ".join(found[:_MAX_SHOWN]) + (f"; and {more} more" if more > 0 else "")


def print_changes(program: str, params: Path, lock: Path, stages: set[str], run: str) -> None:
    """Print a line to standard error, as `program`, where there are `changes`; `run` says whose settings others are."""
    if found := changes(params, lock, stages):
        text = f"{params} has other settings than {run} ({listed(found)}); run `dvc repro`"
        print(f"{program}: {text}", file=sys.stderr)


def _read_lock(path: Path) -> dict[str, Any]:
    """The content of a lock file, which DVC overwrites in place: for a moment it is empty, or its end lacks."""
    for _ in range(_TRIES):
        try:
            return yaml_file.load(path)
        except SettingsError:
            time.sleep(_WAIT_S)
    return yaml_file.load(path)


def _at(content: Any, key: str) -> Any:
    for part in key.split("."):
        content = content.get(part) if isinstance(content, dict) else None
    return content


def _differences(key: str, then: Any, now: Any) -> Iterator[str]:
    if isinstance(then, dict) and isinstance(now, dict):
        for name in {*then, *now}:
            yield from _differences(f"{key}.{name}", then.get(name), now.get(name))
    elif then != now:
        yield f"{key}: {_shown(then)}, now {_shown(now)}"


def _shown(value: Any) -> str:
    return shorten(json.dumps(value, ensure_ascii=False, default=str), _MAX_CHARACTERS, placeholder=" ...")
