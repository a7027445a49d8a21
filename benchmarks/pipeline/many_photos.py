"""The cost of many photos: seconds of `dvc repro` with nothing new, on the project's own dvc.yaml.

Of its stages only `scan` runs, which lists the photos. Photos and outputs are small files, each different. Variants:
photos listed in a CSV; and, which the stages do not write, archives as folders with one file per photo.
"""

import argparse
import re
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from benchmarks import timing
from stages.core import command, tables

_ROOT = Path(__file__).parents[2]
_ARCHIVES = ("data/crops", "data/masks", "data/model_inputs/${key}")


def write_placeholder(path: Path, count: int | None = None) -> None:
    """Write a placeholder for an output: a file, or a folder of `count` files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if count is None:
        path.write_text(f"{path.name}\n", encoding="utf-8")
        return
    path.mkdir(exist_ok=True)
    for number in range(count):
        (path / f"{number:016x}.png").write_text(f"{path} {number}", encoding="utf-8")


def write_photos(folder: Path, count: int, has_csv: bool) -> str:
    """Write `count` small files into the folders of two classes; the source, a folder or, if `has_csv`, a table."""
    paths = [f"photos/{'ab'[number % 2]}/{number:016x}.png" for number in range(count)]
    for label in "ab":
        (folder / "photos" / label).mkdir(parents=True)
    for path in paths:
        (folder / path).write_text(path, encoding="utf-8")
    if not has_csv:
        return "photos"
    tables.write(folder / "photos.csv", pd.DataFrame({"path": paths, "label": [path[7] for path in paths]}))
    return "photos.csv"


def outputs(definition: dict[str, Any], settings: dict[str, Any]) -> list[str]:
    """The paths of the outputs of a dvc.yaml, for the entries of params.yaml, the `settings`."""
    paths: list[str] = []
    for stage in definition["stages"].values():
        body = stage.get("do", stage)
        keys = settings[stage["foreach"].removeprefix("${").removesuffix("}")] if "foreach" in stage else [""]
        for item in (*body.get("outs", []), *body.get("metrics", []), *body.get("plots", [])):
            path = next(iter(item)) if isinstance(item, dict) else item
            paths += [path.replace("${key}", key) for key in keys]
    return paths


def make_project(folder: Path, count: int, has_csv: bool = False, has_folders: bool = False) -> None:
    """Create the pipeline in `folder`, with placeholders for all outputs, committed to DVC."""
    shutil.copytree(_ROOT / "stages", folder / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    settings = yaml.safe_load((_ROOT / "params.yaml").read_text(encoding="utf-8"))
    settings["ingest"]["source"] = write_photos(folder, count, has_csv)
    (folder / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    for name in ("dvc.yaml", ".dvcignore"):
        shutil.copy(_ROOT / name, folder)
    for network in (
        "centernet_mobilenetv3.onnx",
        "u2netp_int8.onnx",
        *(m["weights"] for m in settings["models"].values()),
    ):
        write_placeholder(folder / "models" / "pretrained" / network)
    definition = yaml.safe_load((_ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    archives = {path.replace("${key}", name) for path in _ARCHIVES for name in settings["inputs"]}
    for path in outputs(definition, settings):
        write_placeholder(folder / path, count if has_folders and path in archives else None)
    # Of what no stage makes, such as the files of commands.
    for path in (path for stage in definition["stages"].values() for path in stage.get("do", stage).get("deps", [])):
        if "$" not in path and not (folder / path).exists():
            write_placeholder(folder / path)
    # The real table of files between two commits: what follows `scan` is then up to date.
    commit = ["dvc", "commit", "-q", "-f"]
    for words in (["git", "init", "-q"], ["dvc", "init", "-q"], commit, ["dvc", "repro", "-q", "scan"], commit):
        subprocess.run(words, cwd=folder, env=command.environment(), check=True)


def idle_seconds(folder: Path, rounds: int) -> float:
    """The median seconds of `dvc repro` in `folder`, where only `scan` must run."""
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        done = subprocess.run(
            ["dvc", "repro"], cwd=folder, env=command.environment(), check=True, capture_output=True, text=True
        )
        seconds.append(time.perf_counter() - started)
        if re.findall(r"Running stage '([^']+)'", done.stdout) != ["scan"]:
            raise RuntimeError(f"{folder}: expected the stage scan alone to run, found:\n{done.stdout[-1000:]}")
    return float(np.median(seconds))


def main() -> None:
    """Print a row per number of photos."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[600, 15_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--csv", action="store_true", help="photos listed in a CSV")
    parser.add_argument("--folders", action="store_true", help="a folder instead of each archive")
    arguments = parser.parse_args()
    rows = {}
    for count in arguments.counts:
        with tempfile.TemporaryDirectory() as temporary:
            started = time.perf_counter()
            make_project(Path(temporary), count, arguments.csv, arguments.folders)
            setup = time.perf_counter() - started
            rows[f"{count} photos"] = {
                "setup and hashing, s": setup,
                "nothing new, s": idle_seconds(Path(temporary), arguments.rounds),
            }
    timing.show(pd.DataFrame(rows).T, "dvc repro with nothing new")


if __name__ == "__main__":
    main()
