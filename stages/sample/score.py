"""Score the chosen boxes and the masks of the embedded sample against what was rendered."""

import argparse
from collections.abc import Hashable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from stages.core import atomic, batches, command, progress, settings, tables
from stages.core.archive import Archive
from stages.images import archived, detection_metrics, images
from stages.images.boxes import COLUMNS as CORNERS
from stages.images.overlap import upsample_map
from stages.schemas import crops, detections, manifest, masks
from stages.selection import main_car, sweep
from stages.selection.main_car import NO_CANDIDATES, candidates_by_photo
from stages.selection.settings import SelectionSettings
from stages.selection.sweep import SweepInput

TRUTH_COLUMNS = {"path": "str", "kind": "str", **dict.fromkeys(CORNERS, "float")}


def pair_boxes(chosen: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """Chosen and true boxes (`true_x_min` ...) of the regular photos, those of kind `car`, side by side by path.

    Raises tables.TableError when a regular photo of the truth is missing: then the tables are of another source.
    """
    regular = known[known["kind"] == "car"].rename(columns={name: f"true_{name}" for name in CORNERS})
    both = regular.merge(chosen[chosen["status"] != "failed"], on="path", how="left")
    if both["image_id"].isna().any():
        missing = both.loc[both["image_id"].isna(), "path"].iloc[0]
        raise tables.TableError(
            f"data/boxes.csv: expected a row for the sample's photo {missing}, found none; "
            "the pipeline last ran on another ingest.source"
        )
    return both


def sweep_inputs(both: pd.DataFrame, photos: pd.DataFrame, found: pd.DataFrame) -> list[SweepInput]:
    """What the detector saw in each of the regular photos that the rule could look at, with the true boxes."""
    by_photo = candidates_by_photo(found)
    looked = both.merge(photos.loc[photos["status"] == "ok", ["path", "width", "height"]], on="path")
    true = looked[[f"true_{name}" for name in CORNERS]].to_numpy(dtype=np.float64)
    sizes = zip(looked["width"].tolist(), looked["height"].tolist())
    return [
        SweepInput(size_wh, by_photo.get(name, NO_CANDIDATES), box)
        for name, size_wh, box in zip(looked["image_id"], sizes, true)
    ]


class MaskSources(NamedTuple):
    """Masks: those in use, the folder of the true ones, and the maps of each segmenter by name."""

    used: Archive
    true: Path
    maps: dict[str, Archive]


def mask_overlaps(margin: float, drawn: MaskSources, row: dict[Hashable, object]) -> dict[str, float]:
    """The overlap of one photo's mask with the true one under "", and of each segmenter's alone under its name.

    Nothing where the photo has no mask.
    """
    name = masks.picture_of(str(row["image_id"]))
    if row["status"] != "ok" or name not in drawn.used:
        return {}
    true = images.read_mask(drawn.true / Path(str(row["path"])).with_suffix(".png"))
    box = np.array([row[name] for name in CORNERS], dtype=np.float64) if row["is_cropped"] else None
    window = main_car.crop_window(box, (true.shape[1], true.shape[0]), margin)
    size_wh = window[2] - window[0], window[3] - window[1]
    planes = {key: archived.read_mask(maps, name) for key, maps in drawn.maps.items()}
    alone = {key: (255 * upsample_map(plane, size_wh)).astype(np.uint8) for key, plane in planes.items()}
    found = {"": archived.read_mask(drawn.used, name), **alone}
    return {key: detection_metrics.crop_mask_iou(mask, window, true) for key, mask in found.items()}


def all_mask_overlaps(both: pd.DataFrame, drawn: MaskSources, margin: float) -> dict[str, np.ndarray]:
    """`mask_overlaps` of all photos: `(N,)` for each name, NaN where a photo has no mask."""
    scored = batches.ordered_thread_map(partial(mask_overlaps, margin, drawn), both.to_dict("records"), ahead=32)
    rows = [scores for _, scores in progress.track(scored, len(both), "photo", "verify")]
    names = ["", *drawn.maps]
    frame = pd.DataFrame(rows, columns=names, dtype="float64")
    return {name: frame[name].to_numpy() for name in names}


def compared(scores: dict[str, Any]) -> dict[str, float]:
    """The figures of `scores` that DVC compares between experiments: recall at IoU 0.5 and the mean IoU of the masks."""
    figures = {"recall_50": scores["detector"].get("recall_at_50"), "mask_iou": scores["mask"].get("mean_iou")}
    return {name: value for name, value in figures.items() if value is not None}


def main() -> None:
    """Write metrics/sample.json with its details, and how recall and rejects move with the rule's thresholds."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "manifest", "detections", "boxes", "maps", "masks"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("truth", "true-masks", "metrics", "details", "thresholds"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    rule = settings.read(arguments.params, "crop", SelectionSettings, subset=True)
    both = pair_boxes(crops.read(arguments.boxes), tables.read(arguments.truth, TRUTH_COLUMNS))
    names = settings.load(arguments.params)["segmenters"]
    maps = {name: Archive(arguments.maps / f"{name}.zip") for name in names}
    overlaps = all_mask_overlaps(both, MaskSources(Archive(arguments.masks), arguments.true_masks, maps), rule.margin)
    found = detection_metrics.box_ious(both[CORNERS].to_numpy(), both[[f"true_{name}" for name in CORNERS]].to_numpy())
    scores = detection_metrics.summarise(found, overlaps[""]) | {
        "segmenters": detection_metrics.paired_gains(overlaps.pop(""), overlaps)
    }
    atomic.write_json(arguments.metrics, compared(scores))
    atomic.write_json(arguments.details, scores)
    photos, boxes = manifest.read(arguments.manifest), detections.read(arguments.detections)
    for name, moved in sweep.sweep_thresholds(sweep_inputs(both, photos, boxes), rule).items():
        tables.write(arguments.thresholds / f"{name}.csv", moved)
    progress.summary("verify", photos=len(both), boxes_at_iou_50=int((found >= 0.5).sum()), masks=scores["mask"]["n"])


if __name__ == "__main__":
    command.run(main)
