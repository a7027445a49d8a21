"""Run the last commit again from nothing, and compare bytes and figures.

Every output's bytes are compared with dvc.lock, every figure with metrics/. The run is `make repro` in a clone with
its own environment and cache.
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from stages.commands import provenance, reproduction
from stages.core import command, programs, system
from stages.core.errors import UserError

_LOCKS = ("models/pretrained/dvc.lock", "data/sample/dvc.lock", "dvc.lock")
_PROVENANCE = "metrics/provenance.json"


def run(*command: str, folder: Path = Path()) -> None:
    """Run a command in `folder`, its output on the terminal. Raises ProgramError with its exit status."""
    # The clone's Makefile must use the machine's Python, not the environment of this command.
    paths = [part for part in os.environ["PATH"].split(os.pathsep) if Path(part) != Path(sys.executable).parent]
    programs.run(*command, folder=folder, env={**os.environ, "PATH": os.pathsep.join(paths)})


def read_committed(path: str) -> str:
    """A file's text in the last commit; empty if it has none."""
    committed = f"HEAD:{path}"
    return programs.output("git", "show", committed) if programs.succeeds("git", "cat-file", "-e", committed) else ""


def read_in(folder: Path, path: str) -> str:
    """A file's text in `folder`; empty if there is none."""
    return (folder / path).read_text(encoding="utf-8") if (folder / path).is_file() else ""


def metric_paths() -> list[str]:
    """The JSON files below metrics/ in the last commit."""
    listing = programs.output("git", "ls-tree", "-r", "--name-only", "HEAD", "metrics")
    return [path for path in listing.splitlines() if path.endswith(".json") and path != _PROVENANCE]


def parse(path: str, text: str) -> Any:
    """The content of a lock file or a JSON file. Raises UserError naming it."""
    try:
        return yaml.safe_load(text) if path in _LOCKS else json.loads(text)
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{path}: expected {'YAML' if path in _LOCKS else 'JSON'}, found: {error}") from None


def state(texts: dict[str, str]) -> dict[str, Any]:
    """The stages of all lock files as one, and the metrics, from the text of each file by path."""
    locks = [parse(path, texts[path])["stages"] for path in _LOCKS if texts[path]]
    metrics = {path: parse(path, text) for path, text in texts.items() if path not in _LOCKS and text}
    return {"lock": {"stages": {name: stage for lock in locks for name, stage in lock.items()}}, "metrics": metrics}


def match_commit(text: str) -> system.HardwareMatch:
    """How well this machine matches the one in a provenance file, given as its text."""
    here = provenance.this_machine(Path("params.yaml"))
    return system.match_hardware(parse(_PROVENANCE, text), here) if text else "other"


def compare(folder: Path) -> pd.DataFrame:
    """The table that compares the last commit with the run in `folder`."""
    paths = [*_LOCKS, *metric_paths()]
    before, after = {path: read_committed(path) for path in paths}, {path: read_in(folder, path) for path in paths}
    return reproduction.table(state(before), state(after), match_commit(read_committed(_PROVENANCE)))


def summary_line(table: pd.DataFrame) -> str:
    """One sentence on the whole table."""
    n_same, n_outputs = int(table["same bytes"].sum()), int(table["outputs"].sum())
    counts = table["result"].value_counts()
    return (
        f"reproduce: {n_same} of {n_outputs} outputs have the committed bytes; "
        f"{counts.get('within', 0)} stages are within the tolerance for another machine, "
        f"{counts.get('differs', 0)} differ"
    )


def main() -> None:
    """Clone, run, print the table; exit with 1 if a stage differs by more than allowed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="folder for the clone, which is kept; default: a temporary one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary) / "clone"
        programs.output("git", "clone", "--quiet", ".", folder)
        run("make", "repro", folder=folder)
        table = compare(folder)
    if match_commit(read_committed(_PROVENANCE)) != "same":
        print("this CPU is not that of the commit: figures may differ by up to `allowed`")
    print(table.to_string(index=False))
    print(summary_line(table))
    sys.exit(int((table["result"] == "differs").any()))


if __name__ == "__main__":
    command.run(main)
