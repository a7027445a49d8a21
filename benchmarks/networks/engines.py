"""Detection and segmentation by the local engine and on a Ray cluster of one-core nodes of this machine, side by side.

Both start with an empty inference cache; times are of the whole stages, start and stop of the processes included. The
cluster runs before; its head has no cores, its workers start outside the checkout.
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
from stages.core import command, cores, tables
from stages.schemas import crops, manifest, shards
from tests import ray_nodes

_STORE_BYTES = 200 * 2**20
_OUTPUTS = {"detect": ("detections", "failures"), "segment": ("maps",)}


def write_inputs(folder: Path, count: int) -> int:
    """Write the first `count` rows of the manifest and of the table of boxes, and settings for each engine.

    Returns how many rows there are: a project may have fewer photos.
    """
    rows = manifest.read(Path("data/manifest.csv")).query("status == 'ok'").head(count)
    tables.write(folder / "manifest.csv", rows)
    boxes = crops.read(Path("data/boxes.csv"))
    tables.write(folder / "boxes.csv", boxes[boxes["image_id"].isin(rows["image_id"])])
    shards.write(folder / "shards.json", shards.ONE_SHARD)
    settings = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
    for engine in ("local", "ray"):
        settings["runtime"]["engine"] = engine
        (folder / f"{engine}.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    return len(rows)


def run_stage(folder: Path, stage: str, engine: str, segmenter: str, number: int) -> tuple[float, list[bytes]]:
    """Run a stage with an engine and an empty cache; its seconds, and the bytes of its outputs."""
    out = folder / f"{stage}_{engine}_{number}"
    out.mkdir()
    options = {"params": folder / f"{engine}.yaml", "networks": "models/pretrained", "cache": out / "cache"}
    options |= {"details": out / "details"} | {name: out / name for name in _OUTPUTS[stage]}
    if stage == "detect":
        options |= {"manifest": folder / "manifest.csv"}
    else:
        options |= {"segmenter": segmenter, "boxes": folder / "boxes.csv", "crops": "data/crops"}
        options |= {"shards": folder / "shards.json", "memory": out / "memory"}
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    started = time.perf_counter()
    subprocess.run([sys.executable, "-m", f"stages.{stage}", *words], check=True, capture_output=True)
    files = [path for path in sorted(out.rglob("*")) if path.relative_to(out).parts[0] in _OUTPUTS[stage]]
    return time.perf_counter() - started, [path.read_bytes() for path in files if path.is_file()]


def main() -> None:
    """Print a row for each stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=600)
    parser.add_argument("--nodes", type=int, default=cores.available())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--segmenter", default="u2netp")
    arguments = parser.parse_args()
    table = {}
    own = {"count": arguments.nodes, "store_bytes": _STORE_BYTES}
    with tempfile.TemporaryDirectory() as temporary, ray_nodes.running(**own) as nodes:
        folder = Path(temporary)
        n_photos = write_inputs(folder, arguments.photos)
        os.environ["RAY_ADDRESS"] = nodes.address
        for stage in _OUTPUTS:
            seconds: dict[str, list[float]] = {"local": [], "ray": []}
            contents = []
            for number in range(arguments.rounds):
                for engine, taken in seconds.items():
                    one, content = run_stage(folder, stage, engine, arguments.segmenter, number)
                    taken.append(one)
                    contents.append(content)
            medians = {engine: float(pd.Series(taken).median()) for engine, taken in seconds.items()}
            table[stage] = {**medians, "ray / local": medians["ray"] / medians["local"]}
            table[stage]["same bytes"] = all(content == contents[0] for content in contents)
    title = f"{n_photos} photos, {arguments.nodes} nodes of one core, {cores.available()} cores in all; s"
    timing.show(pd.DataFrame(table).T, title)


if __name__ == "__main__":
    command.run(main)
