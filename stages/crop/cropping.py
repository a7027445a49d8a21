"""Choose the main car of each photo by the rule in `params.yaml`, cut it out, and say why where there is none."""

from collections.abc import Hashable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stages.core import batches, progress, shard_writer, system, tables
from stages.core.errors import TableError
from stages.core.result_cache import code_digest
from stages.core.shard_writer import Made, Shard, ShardFolder
from stages.crop.cutting import crop_image
from stages.crop.settings import CropSettings
from stages.images import boxes, images
from stages.schemas import crops, split_table
from stages.schemas.manifest import UNLABELLED
from stages.schemas.shards import Assignment
from stages.selection import main_car, sweep
from stages.selection.detected_boxes import photo_set
from stages.selection.main_car import PhotoSet
from stages.sources.photos import Photos

Row = dict[Hashable, object]
# More photos would not change what a table of thresholds shows.
_N_SWEPT = 2000
_SURPRISING = 0.05
# Columns of data/manifest.csv that the rule needs.
_OF_SET = ("image_id", "width", "height")
# Columns of data/boxes.csv that a crop depends on.
_DECIDES_CROP = ("image_id", "is_cropped", *boxes.COLUMNS)


def select_boxes(photos: pd.DataFrame, found: pd.DataFrame, rule: CropSettings) -> pd.DataFrame:
    """data/boxes.csv for all rows of the manifest `photos`, from the detections `found`; reads no photo."""
    is_tried = (photos["status"] == "ok").to_numpy() & (rule.mode != "full_image")
    is_annotated = is_tried & photos["x_min"].notna().to_numpy()
    table = photos[["image_id", "path", "status", "reason"]].reset_index(drop=True)
    table["is_cropped"], table["n_vehicles"] = is_annotated, is_annotated.astype(np.int64)
    table["score"], table["runner_up_ratio"] = np.where(is_annotated, 1.0, np.nan), 0.0
    table["class_name"] = pd.Series(np.where(is_annotated, crops.ANNOTATED, ""), table.index, dtype=str)
    corners = photos[boxes.COLUMNS].to_numpy(np.float64)
    table[boxes.COLUMNS] = np.where(is_annotated[:, None], corners, np.nan)
    rows = np.flatnonzero(is_tried & ~is_annotated)
    _fill(table, rows, photo_set(photos[list(_OF_SET)].iloc[rows], found), rule)
    return table[list(crops.COLUMNS)]


def _fill(table: pd.DataFrame, rows: np.ndarray, photos: PhotoSet, rule: CropSettings) -> None:
    """Fill the `rows` of data/boxes.csv of photos without an annotated box with what the rule selects."""
    choice = main_car.select(photos, rule)
    is_selected = choice.index >= 0
    chosen, index, rejected = rows[is_selected], choice.index[is_selected], rows[~is_selected]
    table.loc[rows, "n_vehicles"], table.loc[rows, "runner_up_ratio"] = choice.n_vehicles, choice.runner_up_ratio
    table.loc[chosen, "is_cropped"], table.loc[chosen, "score"] = True, photos.scores[index]
    table.loc[chosen, "class_name"] = photos.class_names[photos.classes[index]]
    table.loc[chosen, boxes.COLUMNS] = photos.corners[index]
    table.loc[rejected, "reason"] = choice.reason[~is_selected]
    table.loc[rejected, "status"] = "ok" if rule.on_no_box == "full_image" else "dropped"


def make_crop(photos: Photos, rule: CropSettings, row: Row) -> tuple[bytes, str]:
    """Cut the photo of one row of data/boxes.csv: the bytes of a JPEG and an empty text, or none and the reason."""
    box = np.array([row[name] for name in boxes.COLUMNS], dtype=np.float64) if row["is_cropped"] else None
    try:
        picture = crop_image(photos.load(str(row["path"]), str(row["image_id"]), str(row["split"])), box, rule)
    except images.ImageError as error:
        return b"", error.reason
    return images.encode(picture, ".jpg"), ""


def write_crops(
    archive: ShardFolder, photos: Photos, rule: CropSettings, table: pd.DataFrame, assignment: Assignment
) -> pd.Series:
    """Write the crops of the usable rows of data/boxes.csv, the `table`, joined with `split`.

    Returns the reason of each usable row that failed, else nothing.
    """

    def make(numbers: np.ndarray) -> Iterator[Made]:
        rows = tables.records(table, numbers)
        made = batches.ordered_thread_map(partial(make_crop, photos, rule), rows, 32, photos.threads)
        for row, (content, reason) in progress.track(made, len(numbers), "photo", "crop"):
            yield Made(crops.file_name(str(row["image_id"])), content, reason)

    common = [code_digest("stages.crop.cropping"), system.image_libraries(), rule.model_dump()]
    wanted = np.flatnonzero(table["status"] == "ok")
    places = assignment.split(table["image_id"].iloc[wanted])

    def key(numbers: np.ndarray) -> str:
        # The image id stands for the photo's bytes: where the photo lies does not matter.
        return shard_writer.digest([*common, table.iloc[numbers][list(_DECIDES_CROP)].to_numpy(object).tolist()])

    tasks = {name: Shard(wanted[some], key(wanted[some])) for name, some in places.items()}
    order = shard_writer.concatenated(task.items for task in tasks.values())
    reasons = pd.Series(list(archive.update(tasks, make)), table.index[order], dtype=str)
    return reasons.reindex(table.index[wanted])


def with_failures(table: pd.DataFrame, reasons: pd.Series) -> pd.DataFrame:
    """data/boxes.csv once the crops were tried: a row for which there is a reason failed and has no crop."""
    failed = reasons.index[reasons != ""]
    if failed.empty:
        return table
    tried = table.copy()
    tried.loc[failed, "status"] = "failed"
    tried.loc[failed, "is_cropped"] = False
    tried.loc[failed, "reason"] = reasons[failed]
    return tried


def make_split_table(photos: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """data/splits.csv: the rows of the manifest `photos`, with status and reason of data/boxes.csv, the `table`."""
    rows = photos[["image_id", "path", "label", "group", "split"]].reset_index(drop=True)
    return rows.assign(status=table["status"].to_numpy(), reason=table["reason"].to_numpy())[list(split_table.COLUMNS)]


def require_every_class(path: Path, splits: pd.DataFrame, photos: pd.DataFrame) -> None:
    """Raise TableError naming a class of the manifest `photos` none of whose train photos is used in `splits`."""
    in_train = (photos["status"] == "ok") & (photos["split"] == "train")
    rows = splits.loc[in_train.to_numpy(), ["label", "status", "reason"]]
    used = set(rows.loc[rows["status"] == "ok", "label"])
    lost = rows[~rows["label"].isin(used)]
    if len(lost):
        label = lost["label"].iloc[0]
        reasons = lost.loc[lost["label"] == label, "reason"].value_counts()
        counts = ", ".join(f"{number} {reason}" for reason, number in reasons.items())
        raise TableError(
            f"{path}: expected a train photo of each class, found none of `{label}` ({counts}); relax the rule in "
            "section crop, set crop.on_no_box to full_image, or drop the class by ingest.class_map"
        )


def threshold_tables(photos: pd.DataFrame, found: pd.DataFrame, rule: CropSettings) -> dict[str, pd.DataFrame]:
    """How the counts move with each threshold, on the first `_N_SWEPT` usable photos.

    The manifest is sorted by image id, a hash, so these are as good as drawn by lot.
    """
    is_detected = (photos["status"] == "ok") & photos["x_min"].isna()
    usable = photos[list(_OF_SET)].iloc[np.flatnonzero(is_detected)[:_N_SWEPT]]
    return sweep.sweep_thresholds(photo_set(usable, found), rule)


def count(table: pd.DataFrame, photos: pd.DataFrame) -> dict[str, object]:
    """Counts for metrics: crops, and reasons in all, by class and by split.

    `overrejected_classes` names the classes that the rule rejects more often than the others beyond chance, with the
    probability of so many rejections by chance (Fisher's exact test, one-sided, times the number of classes).
    """
    # As categories: to group by texts makes a Python value of each.
    groups = photos[["label", "split"]].astype("category")
    tried = table[["reason", "is_cropped"]].join(groups)[photos["status"].to_numpy() == "ok"]
    labelled = tried.loc[tried["split"] != UNLABELLED, ["reason", "label"]]
    by_class = {str(name): _reasons(rows) for name, rows in labelled.groupby("label", observed=True)}
    return {
        **_reasons(tried),
        "cropped": int(tried["is_cropped"].sum()),
        "by_class": by_class,
        "by_split": {str(name): _reasons(rows) for name, rows in tried.groupby("split", observed=True)},
        "overrejected_classes": overrejected_classes(
            {name: (counts["rejected"], counts["photos"]) for name, counts in by_class.items()}
        ),
    }


def _reasons(rows: pd.DataFrame) -> dict[str, Any]:
    reasons = rows.loc[rows["reason"] != "", "reason"].value_counts().sort_index()
    return {"photos": len(rows), "rejected": int(reasons.sum()), "reason": reasons.to_dict()}


def overrejected_classes(refused: dict[str, tuple[int, int]]) -> dict[str, float]:
    """The classes refused more often than all others together, from (refused, photos) of each: name to probability."""
    from scipy.stats import fisher_exact  # slow to import, and prediction counts no classes

    all_refused, all_photos = (sum(column) for column in zip(*refused.values())) if refused else (0, 0)
    found = {}
    for name, (count_refused, n_photos) in refused.items():
        rest_refused, rest = all_refused - count_refused, all_photos - n_photos
        cells = [[count_refused, n_photos - count_refused], [rest_refused, rest - rest_refused]]
        chance = len(refused) * fisher_exact(cells, alternative="greater").pvalue
        if chance < _SURPRISING:
            found[name] = float(f"{chance:.2g}")
    return found
