"""The cost of DVC with many photos: seconds of `dvc repro` with nothing to do, on the project's own dvc.yaml.

Outputs are small files, each different. Variants: photos listed in a CSV, of which DVC tracks only the CSV; and, which
the stages do not write, a folder with one file per photo instead of each archive.
"""

import argparse
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from benchmarks import timing
from stages.core import command

_ROOT = Path(__file__).parents[2]


def write_placeholder(path: Path, count: int | None = None) -> None:
    """Write a placeholder for an output: a file, or a folder of `count` files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if count is None:
        path.write_text(f"{path.name}\n", encoding="utf-8")
        return
    path.mkdir(exist_ok=True)
    for number in range(count):
        (path / f"{number:016x}.png").write_text(f"{path} {number}", encoding="utf-8")


def outputs(definition: dict[str, object], models: list[str], segmenters: list[str]) -> list[str]:
    """The paths of the outputs of a dvc.yaml."""
    paths = []
    for name, stage in definition["stages"].items():
        body = stage.get("do", stage)
        keys = {"segment": segmenters}.get(name, models) if "foreach" in stage else [""]
        for item in (*body.get("outs", []), *body.get("metrics", []), *body.get("plots", [])):
            path = next(iter(item)) if isinstance(item, dict) else item
            paths += [path.replace("${key}", key) for key in keys]
    return paths


def make_project(folder: Path, count: int, has_csv: bool = False, has_folders: bool = False) -> None:
    """Create the pipeline in `folder`, with placeholders for all outputs, committed to DVC."""
    shutil.copytree(_ROOT / "stages", folder / "stages", ignore=shutil.ignore_patterns("__pycache__"))
    settings = yaml.safe_load((_ROOT / "params.yaml").read_text(encoding="utf-8"))
    settings["ingest"]["source"] = "photos.csv" if has_csv else "photos"
    (folder / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    for name in ("dvc.yaml", ".dvcignore"):
        shutil.copy(_ROOT / name, folder)
    for network in ("centernet_mobilenetv3.onnx", "u2netp.onnx", *(m["weights"] for m in settings["models"].values())):
        write_placeholder(folder / "models" / "pretrained" / network)
    write_placeholder(folder / settings["ingest"]["source"], None if has_csv else count)
    definition = yaml.safe_load((_ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    for path in outputs(definition, list(settings["models"]), list(settings["segmenters"])):
        write_placeholder(folder / path, count if has_folders and path.endswith(".zip") else None)
    for words in (["git", "init", "-q"], ["dvc", "init", "-q"], ["dvc", "commit", "-q", "-f"]):
        subprocess.run(words, cwd=folder, env=command.environment(), check=True)


def idle_seconds(folder: Path, rounds: int) -> float:
    """The median seconds of `dvc repro` in `folder`, which must have nothing to do."""
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        done = subprocess.run(
            ["dvc", "repro"], cwd=folder, env=command.environment(), check=True, capture_output=True, text=True
        )
        seconds.append(time.perf_counter() - started)
        if "Running stage" in done.stdout:
            raise RuntimeError(f"{folder}: expected nothing to do, found:\n{done.stdout[-1000:]}")
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
                "nothing to do, s": idle_seconds(Path(temporary), arguments.rounds),
            }
    timing.show(pd.DataFrame(rows).T, "dvc repro with nothing to do")


if __name__ == "__main__":
    main()
