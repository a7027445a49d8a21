"""The report of many photos: its seconds and the size of its page.

`python -m benchmarks.report.report_size [PHOTOS]` repeats the tables of this project, after `dvc repro`, up to 100,000
photos.
The images are those of this project, so thumbnails have a realistic size.
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
from stages.schemas import class_list, crops, detections, issues, manifest, masks, predictions, split_table
from stages.schemas.predictions import Predictions
from stages.sources.photos import Photos
from stages.sources.settings import SourceSettings

# Separates the name of a photo from the number of its copy.
_COPY = "~"
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


def repeated(table: pd.DataFrame, times: int) -> pd.DataFrame:
    """The table repeated `times` times, each with other ids, paths and groups."""
    names = [name for name in ("image_id", "path", "group") if name in table]
    copies = []
    for number in range(times):
        marked = {name: table[name].where(table[name] == "", table[name] + f"{_COPY}{number}") for name in names}
        copies.append(table.assign(**marked))
    return pd.concat(copies, ignore_index=True)


def write(folder: Path, classes: list[str], times: int) -> Files:
    """Write all tables, repeated, and the metrics to `folder`."""
    for name, module in _TABLES.items():
        tables.write(folder / f"{name}.csv", repeated(module.read(Path(f"data/{name}.csv")), times))
    one = predictions.read(Path("data/ensemble_predictions.csv"), classes)
    ids = [f"{image_id}{_COPY}{number}" for number in range(times) for image_id in one.image_ids]
    predictions.write(
        folder / "predictions.csv", Predictions(ids, np.tile(one.probabilities, (times, 1)), list(classes))
    )
    shutil.copytree("metrics", folder / "metrics")
    issues_path = folder / "issues.csv"
    tables.write(issues_path, repeated(issues.read(Path("data/issues.csv")), times))
    path = folder / "metrics" / "ensemble" / "details.json"
    ensemble = json.loads(path.read_text(encoding="utf-8"))
    ensemble["test"]["n"] *= times
    atomic.write_json(path, ensemble)
    return Files(
        **{name: folder / f"{name}.csv" for name in (*_TABLES, "predictions")},
        issues=issues_path,
        metrics=folder / "metrics",
    )


def main() -> None:
    """Print the numbers of photos and boxes, the seconds to read and to render, and the size of the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=int, nargs="?", default=100_000, help="number of photos; default: 100000")
    n_photos = parser.parse_args().photos
    classes = class_list.read_classes(Path("data/classes.txt"))
    settings = read_settings(Path("params.yaml"), "report", ReportSettings)
    sources = Photos(read_settings(Path("params.yaml"), "ingest", SourceSettings, subset=True))
    crops, masks = Archive(Path("data/crops")), Archive(Path("data/masks"))
    inputs = {name: Archive(Path("data/model_inputs") / name) for name in read_used(Path("params.yaml"))}
    store = thumbnails.ArchiveThumbnails(sources, crops, masks, inputs, settings.thumbnail)
    with tempfile.TemporaryDirectory() as folder:
        files = write(Path(folder), classes, -(-n_photos // len(manifest.read(Path("data/manifest.csv")))))
        start = time.perf_counter()
        data = report_data.read(files, classes)
        read = time.perf_counter()
        card = model_card.render(model_card_data.of_report(data, load(Path("params.yaml")), files.metrics))
        html = page.render(data, GalleryBuilder(data.detections, Copies(store), settings), card)
        rendered = time.perf_counter()
    print(f"{len(data.rows)} photos, {len(data.detections)} boxes: read in {read - start:.1f} s, ", end="")
    print(f"rendered in {rendered - read:.1f} s, a page of {len(html.encode()) / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
