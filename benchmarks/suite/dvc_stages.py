"""Run the stages of dvc.yaml with the options that stand there: the only place that knows how a stage is started."""

import re
import shlex
import shutil
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
NETWORKS = "models/pretrained"
# What stages remember of earlier runs; a measured run starts without it, like the first one of a project.
_MEMORY = Path("logs")
_ITEM = re.compile(r"\$\{item\.(\w+)\}")


def _stage(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"][name])


def _fill(text: str, key: str, networks: str) -> str:
    return text.replace("${pretrained}", networks).replace("${key}", key)


def _entry(stage: dict[str, Any], key: str) -> dict[str, Any]:
    """What params.yaml of the current folder has under `key` in the section that a `foreach` stage goes through."""
    section = stage["foreach"].removeprefix("${").removesuffix("}")
    return dict(yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))[section][key])


def options(name: str, key: str = "", networks: str = NETWORKS) -> list[str]:
    """The command line options of the stage `name` in dvc.yaml; `key`: that of a `foreach` stage."""
    stage = _stage(name)
    command = _fill(stage.get("do", stage)["cmd"], key, networks)
    words = shlex.split(_ITEM.sub(lambda found: str(_entry(stage, key)[found[1]]), command))
    return words[words.index(f"stages.{name}") + 1 :]


def outputs(name: str, key: str = "") -> list[Path]:
    """The files and folders that dvc.yaml lists as written by the stage `name`."""
    stage = _stage(name)
    body = stage.get("do", stage)
    listed = [entry for kind in ("outs", "metrics", "plots") for entry in body.get(kind, [])]
    paths = (next(iter(entry)) if isinstance(entry, dict) else entry for entry in listed)
    return [Path(_fill(path, key, NETWORKS)) for path in paths]


def clear(steps: list[tuple[str, str]]) -> None:
    """Remove what these stages, given as name and key, have written, and what all stages remember."""
    for path in (*(path for step in steps for path in outputs(*step)), _MEMORY):
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)


def run(name: str, key: str = "") -> None:
    """Run the stage `name` in this process and in the current folder, as its command does."""
    sys.argv = [f"python -m stages {name}", *options(name, key)]
    import_module(f"stages.{name}.__main__").main()
