"""What adding 1 % of photos costs: seconds of detect and segment for the new ones alone and for all, and whether the
bytes are those of a run from nothing.
"""

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
from benchmarks.large_photos import options_of
from stages.schemas import manifest

_ROOT = Path(__file__).parent.parent
_MEASURED = ("detect", "segment")
_STAGES = ("ingest", "detect", "crop", "segment")
_OUTPUTS = ("data/detections.csv", "data/maps/one.zip")


def prepare(place: Path) -> None:
    """Make a folder in which the picture stages can run, as `options_of` names its parts."""
    content = yaml.safe_load((_ROOT / "params.yaml").read_text(encoding="utf-8"))
    content["ingest"]["source"] = "photos"
    content["segmenters"], content["mask"]["weights"] = {"one": {"network": "u2netp"}}, {"one": 1.0}
    (place / "params.yaml").write_text(json.dumps(content), encoding="utf-8")
    (place / "networks").symlink_to(_ROOT / "models" / "pretrained")


def seconds(place: Path, stage: str) -> float:
    """Run a stage in `place` as DVC does, from the start of its process to the end."""
    environment = {**os.environ, "PYTHONPATH": str(_ROOT)}
    started = time.perf_counter()
    command = [sys.executable, "-m", f"stages.{stage}", *options_of(stage)]
    subprocess.run(command, check=True, cwd=place, env=environment, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def run(place: Path) -> dict[str, float]:
    """Seconds of the measured stages of a run over the photos of `place`."""
    return {stage: taken for stage in _STAGES if (taken := seconds(place, stage)) and stage in _MEASURED}


def written(place: Path) -> dict[str, bytes]:
    """The boxes and maps of the last run by path."""
    return {name: (place / name).read_bytes() for name in _OUTPUTS}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, default=_ROOT / "data/sample/photos")
    parser.add_argument("--manifest", type=Path, default=_ROOT / "data/manifest.csv", help="what ingest made of them")
    parser.add_argument("--count", type=int, default=600, help="photos before some are added")
    parser.add_argument("--added", type=int, default=6)
    arguments = parser.parse_args()
    photos = manifest.read(arguments.manifest).query("status == 'ok'")["path"].tolist()
    usable = photos[: arguments.count + arguments.added]
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        prepare(place)

        def put(paths: list[str]) -> None:
            for path in paths:
                (place / "photos" / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(arguments.source / path, place / "photos" / path)

        rows = {}
        put(usable[: -arguments.added])
        rows[f"{len(usable) - arguments.added} photos, from nothing"] = run(place)
        put(usable[-arguments.added :])
        rows[f"{arguments.added} more"] = run(place)
        kept = written(place)
        rows["again, none new"] = run(place)
        shutil.rmtree(place / "logs")
        rows[f"{len(usable)} photos, from nothing"] = run(place)
        is_same = written(place) == kept
    table = pd.DataFrame(rows).T
    table["both"] = table.sum(axis=1)
    table["share of all"] = table["both"] / table["both"].iloc[-1]
    timing.show(table, f"seconds; bytes those of a run from nothing: {is_same}")


if __name__ == "__main__":
    main()
