"""Seconds of scan, ingest and detect for the same photos on disk and on a local S3 server, and whether bytes are equal.

The S3 server is moto's, a Python program that takes a processor of its own.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import yaml

from benchmarks import timing
from benchmarks.sources.stores import s3_server, write_photos
from stages.core import command
from stages.schemas import corrections

_SIDE = 640
_STAGES = {
    "scan": {"files": "files.csv", "cache": "hashes", "details": "s.json"},
    "ingest": {
        "files": "files.csv",
        "corrections": "corrections.csv",
        "cache": "inspection_cache",
        "manifest": "manifest.csv",
        "shards": "shards.json",
        "classes": "classes.txt",
        "class-counts": "counts.csv",
        "leaks": "leaks.csv",
        "metrics": "i.json",
        "details": "i2.json",
    },
    "detect": {
        "manifest": "manifest.csv",
        "cache": "cache",
        "detections": "detections.csv",
        "failures": "failures.csv",
        "details": "d.json",
    },
}


def run_stages(folder: Path, source: str) -> tuple[dict[str, float], list[bytes]]:
    """Run the stages in an empty folder; seconds of each, and the bytes of the manifest and of the detections."""
    folder.mkdir()
    settings = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    settings["ingest"]["source"] = source
    (folder / "params.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    corrections.write(folder / "corrections.csv", corrections.none())
    networks, seconds = ["--networks", str(Path("models/pretrained").absolute())], {}
    for stage, options in _STAGES.items():
        words = [word for name, value in options.items() for word in (f"--{name}", str(folder / value))]
        words += ["--params", str(folder / "params.yaml"), *(networks if stage == "detect" else [])]
        started = time.perf_counter()
        subprocess.run([sys.executable, "-m", f"stages.{stage}", *words], check=True, capture_output=True)
        seconds[stage] = time.perf_counter() - started
    return seconds, [(folder / name).read_bytes() for name in ("manifest.csv", "detections.csv")]


def main() -> None:
    """Print the medians of the seconds, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    taken: dict[str, list[dict[str, float]]] = {"disk": [], "S3": []}
    contents = []
    with tempfile.TemporaryDirectory() as temporary:
        photos = Path(temporary, "photos")
        write_photos(photos, arguments.count, _SIDE)
        with s3_server(photos) as url:
            for number in range(arguments.rounds):
                for name, source in (("disk", str(photos)), ("S3", url)):
                    seconds, content = run_stages(Path(temporary, f"{name}{number}"), source)
                    taken[name].append(seconds)
                    contents.append(content)
    medians = pd.DataFrame({name: pd.DataFrame(rows).median() for name, rows in taken.items()})
    medians.loc["ingest and detect"] = medians.loc[["ingest", "detect"]].sum()
    medians["S3 / disk"] = medians["S3"] / medians["disk"]
    same = all(content == contents[0] for content in contents)
    title = f"{arguments.count} photos, {arguments.rounds} rounds, {os.cpu_count()} cores, same bytes: {same}; s"
    timing.show(medians, title)


if __name__ == "__main__":
    command.run(main)
