"""The cost of adding 1 % of photos: seconds of each stage up to `resize`, and bytes that DVC's cache would take.

Networks are replaced by functions, so that the time of a full run is the least possible and the shares are the largest.
Outputs must have the bytes of a run from nothing, whose only memory is data/shards.json, as after `git clone`.
"""

import argparse
import hashlib
import shutil
import tempfile
from pathlib import Path

import pandas as pd

from benchmarks import timing
from benchmarks.pipeline.large_photos import STAGES, make_project, run_stages, write_photos


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


def measure(folder: Path, count: int, added: int) -> tuple[pd.DataFrame, str]:
    """A row per stage with the seconds of both runs and of one from nothing, and a line about bytes."""
    make_project(folder)
    write_photos(folder, range(count))
    columns = {f"{count} photos": run_stages(folder)["s"]}
    before = outputs(folder)
    write_photos(folder, range(count, count + added))
    columns[f"{added} more"] = run_stages(folder)["s"]
    after = outputs(folder)
    shards = (folder / "data/shards.json").read_bytes()
    shutil.rmtree(folder / "data")
    shutil.rmtree(folder / "logs")
    (folder / "data").mkdir()
    (folder / "data/shards.json").write_bytes(shards)
    columns[f"{count + added} from nothing"] = run_stages(folder)["s"]
    table = pd.DataFrame(columns).loc[list(STAGES)]
    table.loc["all"] = table.sum()
    table["share"] = table.iloc[:, 1] / table.iloc[:, 2]
    grown, total = new_bytes(after, before), sum(size for _, size in after.values())
    text = f"new bytes {grown / 1e6:.1f} of {total / 1e6:.1f} MB, {grown / total:.2%}"
    return table, f"{text}; same bytes as from nothing: {outputs(folder) == after}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="photos of the first run")
    parser.add_argument("--added", type=int, help="1 % by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        table, text = measure(Path(folder), arguments.count, arguments.added or max(arguments.count // 100, 1))
    timing.show(table, f"seconds; {text}")


if __name__ == "__main__":
    main()
