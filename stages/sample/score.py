"""Score boxes and masks of the sample against the rendered truth."""

import argparse
from collections.abc import Hashable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from stages.core import atomic, batches, command, progress, settings, tables
from stages.core.archive import Archive
from stages.core.errors import TableError
from stages.images import archived, detection_metrics, images
from stages.images.boxes import COLUMNS as CORNERS
from stages.images.overlap import upsample_map
from stages.schemas import crops, detections, manifest, masks
from stages.selection import main_car, sweep
from stages.selection.detected_boxes import photo_set
from stages.selection.main_car import PhotoSet
from stages.selection.settings import SelectionSettings

TRUTH_COLUMNS = {"path": "str", "kind": "str", **dict.fromkeys(CORNERS, "float")}


def pair_boxes(chosen: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Chosen and true boxes (`true_x_min` ...) of the regular photos, those of kind `car`, joined by path.

    Raises TableError if a regular photo of the ground truth is missing: then the tables are of another source.
    """
    regular = truth[truth["kind"] == "car"].rename(columns={name: f"true_{name}" for name in CORNERS})
    both = regular.merge(chosen[chosen["status"] != "failed"], on="path", how="left")
    if both["image_id"].isna().any():
        missing = both.loc[both["image_id"].isna(), "path"].iloc[0]
        raise TableError(
            f"data/boxes.csv: expected a row for the sample's photo {missing}, found none; "
            "the pipeline last ran on another ingest.source"
        )
    return both


def with_true_boxes(both: pd.DataFrame, photos: pd.DataFrame, detected: pd.DataFrame) -> tuple[PhotoSet, np.ndarray]:
    """The detections of all readable regular photos, and their true boxes `(P, 4)`."""
    readable = both.merge(photos.loc[photos["status"] == "ok", ["path", "width", "height"]], on="path")
    true_boxes = readable[[f"true_{name}" for name in CORNERS]].to_numpy(dtype=np.float64)
    return photo_set(readable, detected), true_boxes


class MaskSources(NamedTuple):
    """Where masks are: the averaged ones, the folder of the true ones, and the maps of each segmenter by name."""

    averaged: Archive
    true: Path
    maps: dict[str, Archive]


def mask_ious(margin: float, sources: MaskSources, row: dict[Hashable, object]) -> dict[str, float]:
    """The IoU of the true mask of one photo with the averaged mask, under "", and with each segmenter's, by name.

    Empty if the photo has no mask.
    """
    name = masks.file_name(str(row["image_id"]))
    if row["status"] != "ok" or name not in sources.averaged:
        return {}
    true = images.read_mask(sources.true / Path(str(row["path"])).with_suffix(".png"))
    box = np.array([row[name] for name in CORNERS], dtype=np.float64) if row["is_cropped"] else None
    window = main_car.crop_window(box, (true.shape[1], true.shape[0]), margin)
    size_wh = window[2] - window[0], window[3] - window[1]
    maps = {key: archived.read_mask(archive, name) for key, archive in sources.maps.items()}
    alone = {key: (255 * upsample_map(values, size_wh)).astype(np.uint8) for key, values in maps.items()}
    predicted = {"": archived.read_mask(sources.averaged, name), **alone}
    return {key: detection_metrics.crop_mask_iou(mask, window, true) for key, mask in predicted.items()}


def all_mask_ious(both: pd.DataFrame, sources: MaskSources, margin: float) -> dict[str, np.ndarray]:
    """`mask_ious` of all photos: `(N,)` for each name, NaN for a photo without a mask."""
    scored = batches.ordered_thread_map(
        partial(mask_ious, margin, sources), tables.records(both, range(len(both))), ahead=32
    )
    rows = [ious for _, ious in progress.track(scored, len(both), "photo", "score_sample")]
    names = ["", *sources.maps]
    frame = pd.DataFrame(rows, columns=names, dtype="float64")
    return {name: frame[name].to_numpy() for name in names}


def compared(scores: dict[str, Any]) -> dict[str, float]:
    """The figures of `scores` that DVC compares between experiments: box recall at IoU 0.5, mean IoU of the masks."""
    figures = {"recall_50": scores["detector"].get("recall_at_50"), "mask_iou": scores["mask"].get("mean_iou")}
    return {name: value for name, value in figures.items() if value is not None}


def main() -> None:
    """Write the scores, and the sweep of each threshold with recall and rejections."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "manifest", "detections", "boxes", "maps", "masks"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("truth", "true-masks", "metrics", "details", "thresholds"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    rule = settings.read(arguments.params, "crop", SelectionSettings, subset=True)
    both = pair_boxes(crops.read(arguments.boxes), tables.read(arguments.truth, TRUTH_COLUMNS))
    segmenters = settings.load(arguments.params)["mask"]["weights"]  # checked by the stage `mask`
    maps = {name: Archive(arguments.maps / name) for name in segmenters}
    ious = all_mask_ious(both, MaskSources(Archive(arguments.masks), arguments.true_masks, maps), rule.margin)
    true_boxes = both[[f"true_{name}" for name in CORNERS]].to_numpy()
    box_ious = detection_metrics.box_ious(both[CORNERS].to_numpy(), true_boxes)
    scores = detection_metrics.summarise(box_ious, ious[""])
    scores["segmenters"] = detection_metrics.paired_gains(ious.pop(""), ious)
    atomic.write_json(arguments.metrics, compared(scores))
    atomic.write_json(arguments.details, scores)
    photos, boxes = manifest.read(arguments.manifest), detections.read(arguments.detections)
    detected, true_boxes = with_true_boxes(both, photos, boxes)
    for name, table in sweep.sweep_thresholds(detected, rule, true_boxes).items():
        tables.write(arguments.thresholds / f"{name}.csv", table)
    counts = {"photos": len(both), "boxes_at_iou_50": int((box_ious >= 0.5).sum()), "masks": scores["mask"]["n"]}
    progress.summary("score_sample", **counts)


if __name__ == "__main__":
    command.run(main)
