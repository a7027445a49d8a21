"""The labelled photos of each split, from data/splits.csv."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from stages.core import tables
from stages.schemas import split_table
from stages.schemas.manifest import SPLITS, UNLABELLED


class SplitData(NamedTuple):
    """N photos sorted by id; `labels` (N,) int64 are indices into the classes.

    `sources` are paths in the source folder. Photos of one of `groups` are near-duplicates.
    """

    image_ids: list[str]
    sources: list[str]
    labels: np.ndarray
    groups: list[str]

    def select(self, rows: np.ndarray) -> "SplitData":
        """The photos of `rows`: their numbers, or a mask (N,) bool."""
        numbers = np.arange(len(self.labels))[rows]
        lists = ([values[n] for n in numbers] for values in (self.image_ids, self.sources, self.groups))
        ids, sources, groups = lists
        return SplitData(ids, sources, self.labels[numbers], groups)


def read(path: Path, classes: list[str]) -> dict[str, SplitData]:
    """Read the usable photos (status `ok`) of the splits train, val and test; a split may be empty.

    Raises TableError if a label is no class, a split has another name, or an id occurs twice.
    """
    frame = split_table.read(path)
    usable = (frame["status"] == "ok") & (frame["split"] != UNLABELLED)
    tables.require(path, frame["label"].isin(classes) | ~usable, frame["label"], f"one of {len(classes)} classes")
    frame = frame[usable].sort_values("image_id")
    return {split: _of_split(frame[frame["split"] == split], classes) for split in SPLITS}


def join(splits: Sequence[SplitData]) -> SplitData:
    """The photos of several splits, one split after the other."""
    ids, sources, groups = (
        [value for split in splits for value in getattr(split, name)] for name in ("image_ids", "sources", "groups")
    )
    return SplitData(ids, sources, np.concatenate([split.labels for split in splits]), groups)


def outside_test(splits: dict[str, SplitData]) -> SplitData:
    """The photos of train and val as one split, sorted by id."""
    photos = join([splits["train"], splits["val"]])
    return photos.select(np.argsort(np.array(photos.image_ids, dtype=object), kind="stable"))


def held_out(splits: dict[str, SplitData], predicted_ids: Iterable[str]) -> dict[str, SplitData]:
    """The splits `val` and `test` whose predictions are out of sample.

    Where photos of train are among `predicted_ids`, models have predicted them out of fold, and `val` is all photos
    outside test.
    """
    is_out_of_fold = not set(splits["train"].image_ids).isdisjoint(predicted_ids)
    return {"val": outside_test(splits) if is_out_of_fold else splits["val"], "test": splits["test"]}


def held_out_name(splits: dict[str, SplitData], held_out: dict[str, SplitData]) -> str:
    """What `val` of `held_out` is, for messages."""
    return "val" if held_out["val"] is splits["val"] else "train and val, out of fold"


def class_shares(photos: SplitData, n_classes: int) -> np.ndarray:
    """The shares (C,) of the classes among photos, their prior; equal ones without photos."""
    counts = np.bincount(photos.labels, minlength=n_classes).astype(np.float64)
    return np.asarray(counts / counts.sum()) if counts.sum() else np.full(n_classes, 1 / n_classes)


def read_unlabelled(path: Path) -> SplitData:
    """Read the photos to predict: those without labels, and labelled ones of which they are copies; labels are -1."""
    frame = split_table.read(path)
    wanted = set(frame.loc[frame["split"] == UNLABELLED, "image_id"]) - {""}
    usable = frame[(frame["status"] == "ok") & frame["image_id"].isin(wanted)].sort_values("image_id")
    return _with_labels(usable, np.full(len(usable), -1, dtype=np.int64))


def _of_split(frame: pd.DataFrame, classes: list[str]) -> SplitData:
    index = {name: number for number, name in enumerate(classes)}
    return _with_labels(frame, np.array([index[label] for label in frame["label"]], dtype=np.int64))


def _with_labels(frame: pd.DataFrame, labels: np.ndarray) -> SplitData:
    groups = frame["group"].where(frame["group"] != "", frame["image_id"])
    return SplitData(frame["image_id"].tolist(), frame["path"].tolist(), labels, groups.tolist())
