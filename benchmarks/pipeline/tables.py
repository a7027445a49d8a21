"""CPU time per photo and peak memory of what reads, writes and joins tables, up to a million photos.

Only rows are played, no image: 200 classes of unequal size, one in twenty photos near another. Each measurement has a
process of its own. The fixed cost is told apart by the two smallest numbers of photos; `rise` is the time per photo at
the largest number, as a share of that at the second smallest. What holds a probability per class stops at `--wide`.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import timing
from stages.audit import label_issues
from stages.core import tables
from stages.core.settings import read as read_settings
from stages.crop import cropping
from stages.crop.settings import CropSettings
from stages.ensemble import fitting
from stages.ingest import duplicates, manifest_rows, splits
from stages.ingest.settings import IngestSettings
from stages.mask import masking
from stages.report import counts, sampling
from stages.schemas import corrections, detections, files, manifest, masks, predictions, split_table
from stages.schemas.predictions import Predictions
from stages.scoring import scores

_PARAMS = Path("params.yaml")
_CLASSES = [f"class {number}" for number in range(200)]
_CORNERS = ["x_min", "y_min", "x_max", "y_max"]


class Tables:
    """The tables of `n` photos, each made when it is first asked for."""

    def __init__(self, n: int) -> None:
        self.n, self.random = n, np.random.default_rng(n)
        self.ingest = read_settings(_PARAMS, "ingest", IngestSettings)
        self.crop = read_settings(_PARAMS, "crop", CropSettings)

    @cached_property
    def hashes(self) -> list[str]:
        """Perceptual hashes; one in twenty is one bit from another."""
        codes = self.random.integers(0, 2**63, self.n, dtype=np.uint64) << np.uint64(1)
        near = self.n // 20
        codes[:near] = codes[near : 2 * near] ^ (np.uint64(1) << self.random.integers(0, 64, near, dtype=np.uint64))
        return [f"{code:016x}" for code in codes.tolist()]

    @cached_property
    def labels(self) -> np.ndarray:
        """Class numbers `(n,)`: the first class has three times as many photos as the last."""
        share = np.linspace(3, 1, len(_CLASSES))
        return self.random.choice(len(_CLASSES), self.n, p=share / share.sum())

    @cached_property
    def inspected(self) -> pd.DataFrame:
        """What ingest knows of each file; one in fifty cannot be read."""
        reason = np.where(self.random.random(self.n) < 0.02, "truncated", "")
        label = np.array(_CLASSES, dtype=object)[self.labels]
        ids = [f"{code:016x}" for code in self.random.integers(0, 2**63, self.n).tolist()]
        own = {"path": [f"{name}/{number:07}.jpg" for number, name in enumerate(label)], "label": label}
        own |= {
            "split": "",
            "group": "",
            "origin": "",
            "time": np.nan,
            **dict.fromkeys(_CORNERS, np.nan),
            "annotated_width": 0,
        }
        own |= {"annotated_height": 0, "image_id": ids, "reason": reason, "note": "", "width": 1023, "height": 767}
        frame = pd.DataFrame(own | {"phash": self.hashes, "orientation": 1})
        return frame.astype(dict.fromkeys(("label", "split", "group", "origin", "reason", "note"), "str"))

    @cached_property
    def manifest(self) -> pd.DataFrame:
        """data/manifest.csv."""
        return manifest_rows.complete(self.inspected, self.ingest, corrections.none()).rows

    @cached_property
    def detections(self) -> pd.DataFrame:
        """data/detections.csv: one to three boxes a photo."""
        ids = np.repeat(self.manifest["image_id"].to_numpy(), self.random.integers(1, 4, self.n))
        low, size = self.random.random((len(ids), 2)) * 300, 50 + self.random.random((len(ids), 2)) * 400
        corners = dict(zip(_CORNERS, np.hstack([low, low + size]).round(3).T))
        names = self.random.choice(["car", "truck", "person"], len(ids), p=[0.7, 0.2, 0.1])
        score = self.random.random(len(ids)).round(6)
        frame = pd.DataFrame({"image_id": ids, "class_name": names, "score": score, **corners})
        return frame.astype({"image_id": "str", "class_name": "str"})

    @cached_property
    def boxes(self) -> pd.DataFrame:
        """data/boxes.csv."""
        return cropping.select_boxes(self.manifest, self.detections, self.crop)

    @cached_property
    def masked(self) -> pd.DataFrame:
        """Columns of data/masks.csv of the crops."""
        own = masking.Row(coverage=0.4321, agreement=0.9876, n_regions=1, is_masked=True, mask_reason="")
        return pd.DataFrame(own._asdict(), self.boxes.index[self.boxes["status"] == "ok"])

    @cached_property
    def masks(self) -> pd.DataFrame:
        """data/masks.csv."""
        return masking.complete(self.boxes, self.masked)

    @cached_property
    def splits(self) -> pd.DataFrame:
        """data/splits.csv."""
        return cropping.make_split_table(self.manifest, self.boxes)

    @cached_property
    def joined(self) -> pd.DataFrame:
        """The rows of the report."""
        rows = self.splits.assign(is_usable=self.manifest["status"] == "ok", is_masked=self.masks["is_masked"])
        rows = rows.assign(width=1023, height=767, coverage=0.4, agreement=0.9)
        return rows.join(self.boxes[["is_cropped", *_CORNERS]])

    @cached_property
    def predicted(self) -> Predictions:
        """Probabilities of 200 classes, mostly right."""
        values = self.random.random((self.n, len(_CLASSES)))
        values[np.arange(self.n), self.labels] += 40 * (self.random.random(self.n) < 0.9)
        return Predictions([f"{n:016x}" for n in range(self.n)], values / values.sum(axis=1, keepdims=True), _CLASSES)


def _reader(path: Path, frame: pd.DataFrame, read: Callable[[Path], object]) -> Callable[[], object]:
    tables.write(path, frame)
    return lambda: read(path)


def _files(made: Tables) -> pd.DataFrame:
    version = [f"sha256:{name * 4}" for name in made.inspected["image_id"]]
    return made.inspected.assign(version=version)[list(files.COLUMNS)]


def _report(made: Tables) -> Callable[[], object]:
    rows, boxes = made.joined, made.detections
    return lambda: (
        counts.funnel(rows, boxes),
        counts.per_class(rows, _CLASSES),
        counts.shapes(rows),
        sampling.sample(rows, 24, 1),
    )


def _splits(made: Tables) -> Callable[[], object]:
    usable = made.manifest[made.manifest["status"] == "ok"].assign(split="")
    return lambda: splits.assign(usable, made.ingest)


def _scores(made: Tables) -> Callable[[], object]:
    values, groups = made.predicted.probabilities, made.predicted.image_ids
    return lambda: scores.summary(made.labels, values, groups)


def _predictions_read(made: Tables, folder: Path) -> Callable[[], object]:
    predictions.write(folder / "p.csv", made.predicted)
    return lambda: predictions.read(folder / "p.csv", _CLASSES)


# What is measured: prepares its tables, and gives the work.
WORKS: dict[str, Callable[[Tables, Path], Callable[[], object]]] = {
    "files read": lambda made, folder: _reader(folder / "t.csv", _files(made), files.read),
    "manifest read": lambda made, folder: _reader(folder / "t.csv", made.manifest, manifest.read),
    "detections read": lambda made, folder: _reader(folder / "t.csv", made.detections, detections.read),
    "masks read": lambda made, folder: _reader(folder / "t.csv", made.masks, masks.read),
    "splits read": lambda made, folder: _reader(folder / "t.csv", made.splits, split_table.read),
    "manifest write": lambda made, folder: (
        lambda frame=made.manifest: tables.write(folder / "t.csv", frame)  # type: ignore[misc]
    ),
    "near-duplicates": lambda made, _: lambda hashes=made.hashes: duplicates.groups(hashes, 3),  # type: ignore[misc]
    "manifest rows": lambda made, _: (
        lambda frame=made.inspected: manifest_rows.complete(frame, made.ingest, corrections.none())  # type: ignore[misc]
    ),
    "splits": lambda made, _: _splits(made),
    "crop select_boxes": lambda made, _: (
        lambda boxes=made.detections: cropping.select_boxes(made.manifest, boxes, made.crop)  # type: ignore[misc]
    ),
    "crop count": lambda made, _: lambda boxes=made.boxes: cropping.count(boxes, made.manifest),  # type: ignore[misc]
    "crop thresholds": lambda made, _: (
        lambda boxes=made.detections: cropping.threshold_tables(made.manifest, boxes, made.crop)  # type: ignore[misc]
    ),
    "crop split table": lambda made, _: (
        lambda boxes=made.boxes: cropping.make_split_table(made.manifest, boxes)  # type: ignore[misc]
    ),
    "mask complete": lambda made, _: (
        lambda masked=made.masked: masking.complete(made.boxes, masked)  # type: ignore[misc]
    ),
    "report counts": lambda made, _: _report(made),
}
WIDE: dict[str, Callable[[Tables, Path], Callable[[], object]]] = {
    "predictions write": lambda made, folder: (
        lambda table=made.predicted: predictions.write(folder / "p.csv", table)  # type: ignore[misc]
    ),
    "predictions read": _predictions_read,
    "scores": lambda made, _: _scores(made),
    "ensemble stack": lambda made, _: (
        lambda table=made.predicted: fitting.stack({"a": table, "b": table}, table.image_ids)  # type: ignore[misc]
    ),
    "audit label issues": lambda made, _: (
        lambda table=made.predicted: label_issues.probability_wrong(  # type: ignore[misc]
            made.labels, table.probabilities, label_issues.fit(made.labels, table.probabilities)
        )
    ),
}


def measure(name: str, n: int) -> dict[str, float]:
    """CPU seconds of one work, and the peak memory of the process in MiB: all of it, and before the work."""
    with tempfile.TemporaryDirectory() as folder:
        work = (WORKS | WIDE)[name](Tables(n), Path(folder))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        started = time.process_time()
        work()
        seconds = time.process_time() - started
    return {"s": seconds, "MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "before": before / 1024}


def row_of(name: str, numbers: list[int]) -> dict[str, float]:
    """Microseconds per photo by number of photos without the fixed cost, that cost, the rise, and peak memory."""
    module = [sys.executable, "-m", "benchmarks.pipeline.tables", "--one", name]
    found = {}
    for n in numbers:
        done = subprocess.run([*module, str(n)], check=True, capture_output=True, text=True)
        found[n] = json.loads(done.stdout.splitlines()[-1])
    first, second = numbers[:2]
    slope = (found[second]["s"] - found[first]["s"]) / (second - first)
    fixed = max(0.0, found[first]["s"] - slope * first)
    each = {n: (found[n]["s"] - fixed) / n * 1e6 for n in numbers[1:]}
    last = found[numbers[-1]]
    return {
        "fixed s": fixed,
        **{f"us at {n}": value for n, value in each.items()},
        "rise": each[numbers[-1]] / each[second],
        "peak MiB": last["MiB"],
        "before MiB": last["before"],
    }


def main() -> None:
    """Print a row per work."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--counts", type=int, nargs="+", default=[1000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--wide", type=int, default=100_000, help="most photos with a probability per class")
    parser.add_argument("--works", nargs="+", default=[*WORKS, *WIDE])
    parser.add_argument("--one", nargs=2, metavar=("WORK", "N"), help="measure one work in this process")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one[0], int(arguments.one[1]))))
        return
    numbers = {name: [n for n in arguments.counts if name in WORKS or n <= arguments.wide] for name in arguments.works}
    rows = {name: row_of(name, numbers[name]) for name in arguments.works}
    timing.show(pd.DataFrame(rows).T, "Tables: CPU time per photo without the fixed cost, and peak memory")


if __name__ == "__main__":
    main()
