"""The labelled photos of each split, as the letterbox table gives them."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from stages.records import letterbox, tables
from stages.records.archive import Archive, ArchiveError

SPLITS = ("train", "val", "test")


class Photos(NamedTuple):
    """Photos sorted by id: `image_ids`, `sources` (path in the source folder), `names` (in the archive
    of letterboxed photos) and `groups` N texts, `labels` (N,) int64 indices into the classes. Photos of one group are
    near-duplicates.
    """

    image_ids: list[str]
    sources: list[str]
    names: list[str]
    labels: np.ndarray
    groups: list[str]


def read_classes(path: Path) -> list[str]:
    """Read the class names, one a line. Raises TableError unless there are two or more, all different."""
    try:
        classes = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise tables.TableError(f"{path}: expected a list of classes, found none; run `dvc repro`") from None
    if len(classes) < 2 or len(set(classes)) != len(classes) or "" in classes:
        raise tables.TableError(f"{path}: expected two or more different names, one a line, found {classes}")
    return classes


def read(path: Path, classes: list[str]) -> dict[str, Photos]:
    """Read the usable photos (status `ok`) of the splits train, val and test; a split may be empty.

    Raises TableError when a label is no class, a split has another name, or an id comes twice.
    """
    frame = letterbox.read(path)
    usable = frame["status"] == "ok"
    tables.require(path, frame["label"].isin(classes) | ~usable, frame["label"], f"one of {len(classes)} classes")
    frame = frame[usable].sort_values("image_id")
    return {split: _of_split(frame[frame["split"] == split], classes) for split in SPLITS}


def _of_split(frame: pd.DataFrame, classes: list[str]) -> Photos:
    index = {name: number for number, name in enumerate(classes)}
    labels = np.array([index[label] for label in frame["label"]], dtype=np.int64)
    ids, sources, names = (frame[column].tolist() for column in ("image_id", "path", "file"))
    groups = frame["group"].where(frame["group"] != "", frame["image_id"])
    return Photos(ids, sources, names, labels, groups.tolist())


def size_hw(pictures: Archive, photos: Photos) -> tuple[int, int]:
    """Return the height and the width, in pixels, of the first of the photos: all have those. Raises ArchiveError."""
    name = photos.names[0]
    content = pictures.read(name)
    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.height, image.width
    except OSError:
        text = f"{pictures.path}: {name}: expected a picture, found other bytes; run `dvc repro -sf resize`"
        raise ArchiveError("not_an_image", text) from None
