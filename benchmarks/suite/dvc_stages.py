"""Run the stages of dvc.yaml with the options that stand there: the only place that knows how a stage is started."""

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


def _stage(name: str) -> dict[str, Any]:
    stage = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"][name]
    return dict(stage.get("do", stage))


def _fill(text: str, key: str, networks: str) -> str:
    return text.replace("${pretrained}", networks).replace("${key}", key)


def options(name: str, key: str = "", networks: str = NETWORKS) -> list[str]:
    """The command line options of the stage `name` in dvc.yaml; `key`: that of a `foreach` stage."""
    words = shlex.split(_fill(_stage(name)["cmd"], key, networks))
    return words[words.index(f"stages.{name}") + 1 :]


def outputs(name: str, key: str = "") -> list[Path]:
    """The files and folders that dvc.yaml lists as written by the stage `name`."""
    stage = _stage(name)
    listed = [entry for kind in ("outs", "metrics", "plots") for entry in stage.get(kind, [])]
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
