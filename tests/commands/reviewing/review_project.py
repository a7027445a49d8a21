"""Results of a run over seven drawn photos, as the review reads them, and a server of it."""

import contextlib
import io
import os
import threading

import numpy as np
import pandas as pd
import requests
from PIL import Image

from stages.commands import serve
from stages.commands.reviewing import application, review_data
from stages.commands.reviewing.application import ReviewService
from stages.commands.reviewing.decisions import DecisionStore
from stages.commands.reviewing.pictures import PictureStore
from stages.commands.reviewing.skipped_photos import SkippedPhotos
from stages.commands.serving.access import AccessRules
from stages.core import archive, tables
from stages.images import images
from stages.schemas import crops, issues, manifest, masks, predictions
from stages.schemas.predictions import Predictions
from stages.sources.photos import Photos
from stages.sources.settings import SourceSettings

CLASSES = ["coupe", "sedan", "van", "wagon", "pickup", "limousine"]
TOKEN = "0123456789abcdef"
# Number of the photo, label, split; its size is 200 x 100 pixels, that of the turned one 100 x 200.
PHOTOS = [
    *((0, "coupe", "train"), (1, "sedan", "train"), (2, "van", "val"), (3, "wagon", "test")),
    *((4, "pickup", "test"), (5, "coupe", "train"), (6, "limousine", "val")),
]
TURNED = 3


def photo(number):
    """A JPEG of 200 x 100 pixels, red but for its upper left quarter; TURNED is to be turned by EXIF orientation 6."""
    pixels = np.full((100, 200, 3), (200, 20, 20), np.uint8)
    pixels[:50, :100] = 20 + 30 * number
    exif = Image.Exif()
    if number == TURNED:
        exif[0x0112] = 6
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=95, exif=exif)
    return file.getvalue()


IDS = [images.image_id(photo(number)) for number, _, _ in PHOTOS]


def size_wh(number):
    return (100, 200) if number == TURNED else (200, 100)


def manifest_rows():
    rows = []
    for number, label, split in PHOTOS:
        width, height = size_wh(number)
        row = dict.fromkeys(manifest.COLUMNS, "") | {"image_id": IDS[number], "path": f"{label}/{number}.jpg"}
        row |= {"label": label, "status": "ok", "split": split, "group": IDS[min(number, 5)]}
        rows.append(row | {"width": width, "height": height} | dict.fromkeys(("x_min", "y_min", "x_max", "y_max"), ""))
    broken = dict.fromkeys(manifest.COLUMNS, "") | {"path": "van/half.jpg", "label": "van", "status": "failed"}
    rows.append(broken | {"reason": "truncated", "width": 0, "height": 0})
    return pd.DataFrame(rows)[list(manifest.COLUMNS)]


def issue_rows():
    rows = [
        (IDS[1], "sedan/1.jpg", "train", "sedan", "label_issue", "wagon", 0.75),
        (IDS[0], "coupe/0.jpg", "train", "coupe", "label_issue", "sedan", 0.9),
        (IDS[0], "coupe/0.jpg", "train", "coupe", "outlier", "", 1.25),
    ]
    return pd.DataFrame(rows, columns=list(issues.COLUMNS))


def mask_rows():
    rows = [(one, "", "ok", "", 0.5, "", 1, True, "") for one in IDS]
    rows[2] = (IDS[2], "", "ok", "", 0.02, "", 1, False, "mask_too_small")
    rows.append(("", "van/half.jpg", "failed", "truncated", "", "", 0, False, ""))
    return pd.DataFrame(rows, columns=list(masks.COLUMNS))


def box_rows():
    rows = [(one, "", "ok", "", True, 20, 10, 120, 90, 0.9, "car", 1, 0.0) for one in IDS]
    rows[4] = (IDS[4], "", "ok", "no_vehicle", False, "", "", "", "", "", "", 0, 0.0)
    rows.append(("", "van/half.jpg", "failed", "truncated", False, "", "", "", "", "", "", 0, 0.0))
    return pd.DataFrame(rows, columns=list(crops.COLUMNS))


def predicted(numbers, best):
    """Probabilities of photos: 0.5 of the class `best` of each, 0.1 of the others."""
    rows = np.full((len(numbers), len(CLASSES)), 0.1)
    rows[np.arange(len(numbers)), [CLASSES.index(best[number]) for number in numbers]] = 0.5
    return Predictions([IDS[number] for number in numbers], rows, CLASSES)


def write_tables(folder):
    """The tables of the run in the folder `data`."""
    tables.write(folder / "manifest.csv", manifest_rows())
    tables.write(folder / "issues.csv", issue_rows())
    tables.write(folder / "masks.csv", mask_rows())
    tables.write(folder / "boxes.csv", box_rows())
    (folder / "classes.txt").write_text("\n".join(CLASSES) + "\n")
    labels = {number: label for number, label, _ in PHOTOS}
    predictions.write(folder / "ensemble_predictions.csv", predicted([2, 3, 4, 6], labels | {3: "van"}))
    predictions.write(folder / "predictions" / "tiny.csv", predicted([2, 3, 4, 6], labels))
    for name, best in {"tiny": labels | {0: "sedan"}, "other": labels}.items():
        predictions.write(folder / "probes" / f"{name}.csv", predicted(range(7), best))
        for kind, columns in {"distances": ["image_id", "distance"], "map": ["image_id", "x", "y"]}.items():
            tables.write(folder / "probes" / f"{name}_{kind}.csv", pd.DataFrame(columns=columns))
    predictions.write(folder / "predictions" / "of_earlier.csv", predicted([2, 3, 4, 6], labels))


def make(folder):
    """The project: `photos`, `data`, `params.yaml`. The crops are of 100 x 80 pixels."""
    for number, label, _ in PHOTOS:
        path = folder / "photos" / label / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo(number))
    write_tables(folder / "data")
    with archive.writing(folder / "data" / "crops" / "00000.zip") as add:
        for one in IDS[:6]:
            add(crops.file_name(one), images.encode(np.full((80, 100, 3), (20, 200, 20), np.uint8), ".jpg"))
    with archive.writing(folder / "data" / "masks" / "00000.zip") as add:
        for one in IDS[:6]:
            add(masks.file_name(one), images.encode(np.full((80, 100), 255, np.uint8), ".png"))
    (folder / "params.yaml").write_text("ingest: {source: photos}\nmodels: {tiny: {}, other: {}}\n")
    return folder


def service(folder, who="Ann"):
    """What answers, for a project that `make` made."""
    decisions = DecisionStore(folder / "data" / "corrections.csv", folder / "logs" / "review.lock", who)
    data = review_data.read(folder / "data", ["tiny", "other"], decisions.read()["image_id"].unique().tolist())
    photos = Photos(SourceSettings(source=os.fspath(folder / "photos")))
    pictures = PictureStore(photos, folder / "data" / "crops", folder / "data" / "masks")
    return ReviewService(data, decisions, SkippedPhotos(folder / "logs" / "review.json"), pictures, who)


class Page:
    """What the page sends to a server at `address`."""

    def __init__(self, port):
        self.address = f"http://127.0.0.1:{port}"

    def call(self, path, body=None, **headers):
        headers = {"Authorization": f"Bearer {TOKEN}"} | headers
        if body is None:
            return requests.get(self.address + path, headers=headers, timeout=60)
        return requests.post(self.address + path, json=body, headers=headers, timeout=60)

    def decide(self, number, kind, value="", expected=(), tab="a", **more):
        body = {
            "kind": kind,
            "value": value,
            "expected": [dict(zip(("kind", "value"), one)) for one in expected],
            "tab": tab,
        }
        return self.call(f"/v1/photos/{IDS[number]}/decision", body | more)

    def queue(self, **chosen):
        return self.call("/v1/queue", {"state": "all"} | chosen).json()


@contextlib.contextmanager
def running(answering):
    """A server of the service on a free port; yields its Page."""
    app = application.create(answering, AccessRules.of("127.0.0.1", [], TOKEN))
    server = serve.server_of(app, 1)
    with serve.listen("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield Page(listening.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(60)
        assert not thread.is_alive()
