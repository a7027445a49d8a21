"""The report of many photos, or of many classes: its seconds and the size of its page.

`python -m benchmarks.report.report_size [PHOTOS]` repeats the tables of this project, after `dvc repro`, up to 100,000
photos; `--variants N` makes N classes of each one. The images are those of this project, so thumbnails have a
realistic size.
"""

import argparse
import json
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stages.core import atomic, tables
from stages.core.archive import Archive
from stages.core.settings import load
from stages.core.settings import read as read_settings
from stages.images.settings import read_used
from stages.report import model_card, model_card_data, page, report_data, thumbnails
from stages.report.galleries import GalleryBuilder
from stages.report.pictures import Thumbnail, ThumbnailStore
from stages.report.report_data import Files
from stages.report.settings import ReportSettings
from stages.schemas import class_list, crops, detections, feature_map, issues, manifest, masks, predictions, split_table
from stages.schemas.predictions import Predictions
from stages.sources.photos import Photos
from stages.sources.settings import SourceSettings

# Separates the name of a photo from the number of its copy.
_COPY = "~"
# As many as the probe stage places on a map.
_MAX_PLACES = 2000
_TABLES = {"manifest": manifest, "detections": detections, "boxes": crops, "masks": masks, "splits": split_table}


@dataclass(frozen=True)
class Copies:
    """Thumbnails in which a copy has those of its original."""

    store: ThumbnailStore

    def photo(self, path: str, image_id: str, split: str) -> Thumbnail:
        """The whole photo."""
        return self.store.photo(_original(path), _original(image_id), split)

    def crop(self, image_id: str) -> Thumbnail:
        """The crop."""
        return self.store.crop(_original(image_id))

    def tinted(self, image_id: str) -> Thumbnail:
        """The crop with its background tinted."""
        return self.store.tinted(_original(image_id))

    def masked(self, image_id: str) -> Thumbnail:
        """The crop without its background."""
        return self.store.masked(_original(image_id))

    def model_inputs(self, image_id: str) -> dict[str, Thumbnail]:
        """What the models see, by its caption."""
        return self.store.model_inputs(_original(image_id))


def _original(name: str) -> str:
    return name.split(_COPY)[0]


def repeated(table: pd.DataFrame, times: int, n_variants: int) -> pd.DataFrame:
    """The table repeated `times` times, each with other ids, paths and groups, and the next variant of each class."""
    names = [name for name in ("image_id", "path", "group") if name in table]
    labels = [name for name in ("label", "suggested_label") if name in table]
    copies = []
    for number in range(times):
        marked = {name: table[name].where(table[name] == "", table[name] + f"{_COPY}{number}") for name in names}
        variant = {
            name: table[name].where(table[name] == "", table[name] + _suffix(number, n_variants)) for name in labels
        }
        copies.append(table.assign(**marked, **variant))
    return pd.concat(copies, ignore_index=True)


def _suffix(number: int, n_variants: int) -> str:
    return f" {number % n_variants}" if n_variants > 1 else ""


def repeated_predictions(one: Predictions, times: int, n_variants: int) -> Predictions:
    """The predictions of all copies; of variants, a tenth of the photos is taken for the next variant."""
    ids = [f"{image_id}{_COPY}{number}" for number in range(times) for image_id in one.image_ids]
    classes = [name + _suffix(number, n_variants) for number in range(n_variants) for name in one.classes]
    rows = np.zeros((times, len(one.image_ids), n_variants, len(one.classes)))
    draws = np.random.default_rng(0).random((times, len(one.image_ids)))
    for number in range(times):
        variant = (number + (draws[number] < 0.1)) % n_variants
        rows[number, np.arange(len(one.image_ids)), variant] = one.probabilities
    return Predictions(ids, rows.reshape(len(ids), -1), classes)


def scattered(places: pd.DataFrame, times: int) -> pd.DataFrame:
    """The places of a map repeated, each copy a little apart; of many a sample."""
    copies = repeated(places, times, 1)
    copies = copies.sample(min(len(copies), _MAX_PLACES), random_state=0)
    apart = np.random.default_rng(0).normal(0, 0.01, (len(copies), 2)) * (times > 1)
    copies[["x", "y"]] = (copies[["x", "y"]] + apart).clip(0, 1).round(4)
    return copies.sort_values("image_id")


def write(folder: Path, one: Predictions, times: int, n_variants: int) -> tuple[Files, list[str]]:
    """Write all tables, repeated, and the metrics to `folder`; return the files and the classes."""
    for name, module in _TABLES.items():
        tables.write(folder / f"{name}.csv", repeated(module.read(Path(f"data/{name}.csv")), times, n_variants))
    predicted = repeated_predictions(one, times, n_variants)
    predictions.write(folder / "predictions.csv", predicted)
    shutil.copytree("metrics", folder / "metrics")
    issues_path = folder / "issues.csv"
    tables.write(issues_path, repeated(issues.read(Path("data/issues.csv")), times, n_variants))
    path = folder / "metrics" / "ensemble" / "details.json"
    ensemble = json.loads(path.read_text(encoding="utf-8"))
    ensemble["test"]["n"] *= times
    atomic.write_json(path, ensemble)
    path = folder / "metrics" / "crop" / "details.json"
    crop = json.loads(path.read_text(encoding="utf-8"))
    numbers = range(n_variants)
    crop["by_class"] = {n + _suffix(k, n_variants): row for k in numbers for n, row in crop["by_class"].items()}
    atomic.write_json(path, crop)
    for source in Path("data/probes").glob("*_map.csv"):
        tables.write(folder / "probes" / source.name, scattered(feature_map.read(source), times))
    named = {name: folder / f"{name}.csv" for name in (*_TABLES, "predictions")}
    paths = {"issues": issues_path, "corrections": Path("data/corrections.csv")}
    return Files(**named, **paths, metrics=folder / "metrics", probes=folder / "probes"), predicted.classes


def main() -> None:
    """Print the numbers of photos and boxes, the seconds to read and to render, and the size of the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=int, nargs="?", default=100_000, help="number of photos; default: 100000")
    parser.add_argument("--variants", type=int, default=1, metavar="N", help="classes made of each one; default: 1")
    parser.add_argument("--out", type=Path, metavar="FILE", help="keep the page there")
    args = parser.parse_args()
    one = predictions.read(Path("data/ensemble_predictions.csv"), class_list.read_classes(Path("data/classes.txt")))
    settings = read_settings(Path("params.yaml"), "report", ReportSettings)
    sources = Photos(read_settings(Path("params.yaml"), "ingest", SourceSettings, subset=True))
    crops, masks = Archive(Path("data/crops")), Archive(Path("data/masks"))
    inputs = {name: Archive(Path("data/model_inputs") / name) for name in read_used(Path("params.yaml"))}
    store = thumbnails.ArchiveThumbnails(sources, crops, masks, inputs, settings.thumbnail)
    with tempfile.TemporaryDirectory() as folder:
        times = -(-args.photos // len(manifest.read(Path("data/manifest.csv"))))
        files, classes = write(Path(folder), one, times, args.variants)
        start = time.perf_counter()
        data = report_data.read(files, classes)
        read = time.perf_counter()
        card = model_card.render(model_card_data.of_report(data, load(Path("params.yaml")), files.metrics))
        html = page.render(data, GalleryBuilder(data.detections, Copies(store), settings), card)
        rendered = time.perf_counter()
    if args.out:
        atomic.write_text(args.out, html)
    print(f"{len(data.rows)} photos, {len(data.detections)} boxes: read in {read - start:.1f} s, ", end="")
    print(f"rendered in {rendered - read:.1f} s, a page of {len(html.encode()) / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
