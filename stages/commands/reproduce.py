"""Run the last commit again from nothing, and compare: every output's bytes with dvc.lock, every figure with metrics/.

A clone in a folder of its own, with an environment and a cache of its own, runs `make repro`.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

import stages
from stages.commands import reproduction
from stages.core import command, system

_LOCKS = ("models/pretrained/dvc.lock", "data/sample/dvc.lock", "dvc.lock")
_PROVENANCE = "metrics/provenance.json"


class ReproduceError(RuntimeError):
    """The second run cannot begin, or did not come to its end."""


def run(*command: str, folder: Path = Path()) -> None:
    """Run a command in `folder`, its output on the terminal. Raises ReproduceError with the exit code."""
    # The clone's Makefile shall find this machine's Python, not the environment that this command runs in.
    outside = [part for part in os.environ["PATH"].split(os.pathsep) if Path(part) != Path(sys.executable).parent]
    code = subprocess.run(command, cwd=folder, env={**os.environ, "PATH": os.pathsep.join(outside)}, check=False)
    if code.returncode:
        raise ReproduceError(f"`{' '.join(command)}` in {folder}: expected exit code 0, found {code.returncode}")


def committed(path: str) -> str:
    """A file's text in the last commit; empty where it has none."""
    found = subprocess.run(["git", "show", f"HEAD:{path}"], capture_output=True, text=True, check=False)
    return found.stdout if found.returncode == 0 else ""


def in_folder(folder: Path, path: str) -> str:
    """A file's text in `folder`; empty where there is none."""
    return (folder / path).read_text(encoding="utf-8") if (folder / path).is_file() else ""


def metric_paths() -> list[str]:
    """The JSON files below metrics/ in the last commit."""
    found = subprocess.run(["git", "ls-tree", "-r", "--name-only", "HEAD", "metrics"], capture_output=True, check=True)
    return [path for path in found.stdout.decode().splitlines() if path.endswith(".json") and path != _PROVENANCE]


def state(texts: dict[str, str]) -> dict[str, Any]:
    """The stages of all lock files as one, and the metrics, from the text of each file by path."""
    locks = [yaml.safe_load(texts[path])["stages"] for path in _LOCKS if texts[path]]
    metrics = {path: json.loads(text) for path, text in texts.items() if path not in _LOCKS and text}
    return {"lock": {"stages": {name: stage for lock in locks for name, stage in lock.items()}}, "metrics": metrics}


def match_commit(text: str) -> system.HardwareMatch:
    """How far this machine computes like that of which the last commit's provenance, given as text, tells."""
    here = {"cpu": system.this_cpu(), "reproducibility": stages.reproducibility()}
    return system.match_hardware(json.loads(text), here) if text else "other"


def compare(folder: Path) -> pd.DataFrame:
    """The last commit against what a run in `folder` made of it."""
    paths = [*_LOCKS, *metric_paths()]
    before, after = ({path: read(path) for path in paths} for read in (committed, lambda path: in_folder(folder, path)))
    return reproduction.table(state(before), state(after), match_commit(committed(_PROVENANCE)))


def summary_line(table: pd.DataFrame) -> str:
    """One sentence on the whole table."""
    same, all_of = int(table["same bytes"].sum()), int(table["outputs"].sum())
    counts = table["verdict"].value_counts()
    return (
        f"reproduce: {same} of {all_of} outputs have the committed bytes; "
        f"{counts.get('within', 0)} stages within what another kind of machine may change, "
        f"{counts.get('differs', 0)} differ"
    )


def main() -> None:
    """Clone, run, print the table; exit with 1 where something differs that should not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where to work, and to leave everything; else it is removed")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary) / "clone"
        run("git", "clone", "--quiet", ".", str(folder))
        run("make", "repro", folder=folder)
        table = compare(folder)
    if match_commit(committed(_PROVENANCE)) != "same":
        print("another CPU than that of the commit: figures may move as far as `allowed`")
    print(table.to_string(index=False))
    print(summary_line(table))
    sys.exit(int((table["verdict"] == "differs").any()))


if __name__ == "__main__":
    command.run(main)
