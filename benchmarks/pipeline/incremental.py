"""The cost of many photos and of 1 % more: CPU time and memory of each stage up to `resize`, and new bytes.

CPU time is that of all threads, which other work on the machine stretches less than the time on the clock. Networks are
replaced by functions, so that the time of a full run is the least possible and the shares are the largest. With
`--from-nothing`, outputs must have the bytes of a run whose only memory is data/shards.json, as after `git clone`.
"""

import argparse
import hashlib
import shutil
import tempfile
from pathlib import Path

import pandas as pd

from benchmarks import timing
from benchmarks.pipeline.large_photos import make_project, run_stages, write_photos
from stages.schemas import corrections


def outputs(folder: Path) -> dict[str, tuple[str, int]]:
    """The SHA-256 and the size of each output below `folder`, by path."""
    found = {}
    for path in sorted(path for path in (folder / "data").rglob("*") if path.is_file()):
        with path.open("rb") as file:
            found[str(path.relative_to(folder))] = hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size
    return found


def new_bytes(after: dict[str, tuple[str, int]], before: dict[str, tuple[str, int]]) -> int:
    """The bytes of outputs whose content was not there before."""
    known = {digest for digest, _ in before.values()}
    return sum(size for digest, size in after.values() if digest not in known)


def measure(folder: Path, count: int, added: int, from_nothing: bool) -> tuple[pd.DataFrame, str]:
    """A row per stage with the CPU seconds of both runs and the memory of the first, and a line about bytes."""
    make_project(folder)
    write_photos(folder, range(count))
    first = run_stages(folder)
    before = outputs(folder)
    write_photos(folder, range(count, count + added))
    second = run_stages(folder)
    after = outputs(folder)
    table = pd.DataFrame({f"CPU s, {count}": first["CPU s"], f"CPU s, {added} more": second["CPU s"]})
    table.loc["all"] = table.sum()
    table["share"] = table.iloc[:, 1] / table.iloc[:, 0]
    table["CPU ms a photo"] = table.iloc[:, 0] / count * 1000
    table["peak MiB"] = first["peak MiB"]
    grown, total = new_bytes(after, before), sum(size for _, size in after.values())
    text = f"new bytes {grown / 1e6:.1f} of {total / 1e6:.1f} MB, {grown / total:.2%}"
    if from_nothing:
        text += f"; same bytes as from nothing: {run_from_nothing(folder) == after}"
    return table, text


def run_from_nothing(folder: Path) -> dict[str, tuple[str, int]]:
    """The outputs of a run that knows nothing but data/shards.json."""
    shards = (folder / "data/shards.json").read_bytes()
    shutil.rmtree(folder / "data")
    shutil.rmtree(folder / "logs")
    corrections.write(folder / "data" / "corrections.csv", corrections.none())
    (folder / "data/shards.json").write_bytes(shards)
    run_stages(folder)
    return outputs(folder)


def main() -> None:
    """Print a table for each number of photos."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10_000], help="photos of the first run")
    parser.add_argument("--from-nothing", action="store_true", help="also compare with a run from nothing")
    arguments = parser.parse_args()
    for count in arguments.counts:
        with tempfile.TemporaryDirectory() as folder:
            table, text = measure(Path(folder), count, count // 100, arguments.from_nothing)
        timing.show(table, f"{count} photos; {text}")


if __name__ == "__main__":
    main()
