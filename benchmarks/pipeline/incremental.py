"""The cost of adding 1 % of photos: seconds of detect and segment; the bytes must be those of a run from scratch."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import yaml

from benchmarks import timing
from benchmarks.pipeline.large_photos import stage_options
from stages.schemas import manifest

_ROOT = Path(__file__).parents[2]
_MEASURED = ("detect", "segment")
_STAGES = ("scan", "ingest", "detect", "crop", "segment")
_OUTPUTS = ("data/detections.csv", "data/maps/one.zip")


def prepare(folder: Path) -> None:
    """Write settings and networks to `folder`, where the stages run with the options of `stage_options`."""
    content = yaml.safe_load((_ROOT / "params.yaml").read_text(encoding="utf-8"))
    content["ingest"]["source"] = "photos"
    content["segmenters"], content["mask"]["weights"] = {"one": {"network": "u2netp"}}, {"one": 1.0}
    (folder / "params.yaml").write_text(json.dumps(content), encoding="utf-8")
    (folder / "networks").symlink_to(_ROOT / "models" / "pretrained")


def seconds(folder: Path, stage: str) -> float:
    """The seconds of a stage run in `folder` as by DVC, from the start of its process to the end."""
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    started = time.perf_counter()
    command = [sys.executable, "-m", f"stages.{stage}", *stage_options(stage)]
    subprocess.run(command, check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def run(folder: Path) -> dict[str, float]:
    """The seconds of the measured stages of a run on the photos of `folder`."""
    return {stage: taken for stage in _STAGES if (taken := seconds(folder, stage)) and stage in _MEASURED}


def outputs(folder: Path) -> dict[str, bytes]:
    """The boxes and maps of the last run, by path."""
    return {name: (folder / name).read_bytes() for name in _OUTPUTS}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, default=_ROOT / "data/sample/photos")
    parser.add_argument("--manifest", type=Path, default=_ROOT / "data/manifest.csv", help="their manifest")
    parser.add_argument("--count", type=int, default=600, help="photos of the first run")
    parser.add_argument("--added", type=int, default=6)
    arguments = parser.parse_args()
    photos = manifest.read(arguments.manifest).query("status == 'ok' and split != 'unlabelled'")["path"].tolist()
    usable = photos[: arguments.count + arguments.added]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        prepare(folder)

        def add_photos(paths: list[str]) -> None:
            for path in paths:
                (folder / "photos" / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(arguments.source / path, folder / "photos" / path)

        rows = {}
        add_photos(usable[: -arguments.added])
        rows[f"{len(usable) - arguments.added} photos, from scratch"] = run(folder)
        add_photos(usable[-arguments.added :])
        rows[f"{arguments.added} more"] = run(folder)
        before = outputs(folder)
        rows["again, none new"] = run(folder)
        shutil.rmtree(folder / "logs")
        rows[f"{len(usable)} photos, from scratch"] = run(folder)
        is_same = outputs(folder) == before
    table = pd.DataFrame(rows).T
    table["both"] = table.sum(axis=1)
    table["share of all"] = table["both"] / table["both"].iloc[-1]
    timing.show(table, f"seconds; same bytes as from scratch: {is_same}")


if __name__ == "__main__":
    main()
