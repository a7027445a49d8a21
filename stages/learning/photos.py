"""The labelled photos of each split, as the letterbox table and its folder give them."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from stages.records import tables

SPLITS = ("train", "val", "test")
_COLUMNS = dict.fromkeys(("image_id", "path", "label", "group", "split", "status"), "str")


class Photos(NamedTuple):
    """Photos sorted by id: `image_ids`, `sources` (path in the source folder) and `groups` N texts, `labels`
    (N,) int64 indices into the classes. Photos of one group are near-duplicates.
    """

    image_ids: list[str]
    sources: list[str]
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
    frame = tables.read(path, _COLUMNS)
    frame = frame[(frame["status"] == "ok") & (frame["split"] != "")].sort_values(["image_id", "path"])
    tables.require(path, frame["split"].isin(SPLITS), frame["split"], f"one of {', '.join(SPLITS)}")
    tables.require(path, frame["label"].isin(classes), frame["label"], f"one of {len(classes)} classes")
    tables.require(path, ~frame["image_id"].duplicated(), frame["image_id"], "each id once")
    return {split: _of_split(frame[frame["split"] == split], classes) for split in SPLITS}


def _of_split(frame: pd.DataFrame, classes: list[str]) -> Photos:
    index = {name: number for number, name in enumerate(classes)}
    labels = np.array([index[label] for label in frame["label"]], dtype=np.int64)
    groups = frame["group"].where(frame["group"] != "", frame["image_id"])
    return Photos(frame["image_id"].tolist(), frame["path"].tolist(), labels, groups.tolist())


def files(folder: Path, image_ids: list[str]) -> list[str]:
    """Return the file of each photo. Raises FileNotFoundError naming the first that is not there."""
    paths = [folder / f"{image_id}.png" for image_id in image_ids]
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: expected a photo, found none; run `dvc repro resize`")
    return [str(path) for path in paths]


def side_px(folder: Path) -> int:
    """Return the side of the square photos in `folder`, read off the first one by name."""
    first = min(folder.glob("*.png"), default=None)
    if first is None:
        raise FileNotFoundError(f"{folder}: expected letterboxed photos, found none; run `dvc repro resize`")
    with Image.open(first) as image:
        width, height = image.size
    if width != height:
        raise ValueError(f"{first}: expected a square photo, found {width}x{height}; run `dvc repro resize`")
    return width
