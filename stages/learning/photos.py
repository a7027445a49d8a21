"""The labelled photos of each split, as the letterbox table and its folder give them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from stages.records import letterbox, tables

SPLITS = ("train", "val", "test")


class Photos(NamedTuple):
    """Photos sorted by id: `image_ids`, `sources` (path in the source folder), `names` (file in the folder of
    letterboxed photos) and `groups` N texts, `labels` (N,) int64 indices into the classes. Photos of one group are
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


def files(folder: Path, photos: Photos) -> list[str]:
    """Return the file of each photo. Raises FileNotFoundError naming the first that is not there."""
    paths = [folder / name for name in photos.names]
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: expected a photo, found none; run `dvc repro resize`")
    return [str(path) for path in paths]


def size_hw(file: str) -> tuple[int, int]:
    """Return the height and the width of a photo, in pixels."""
    with Image.open(file) as image:
        return image.height, image.width
