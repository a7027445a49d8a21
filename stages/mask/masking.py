"""Combine the maps of all segmenters into one mask per crop, and decide which masks to use."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from stages.core import archive, batches, progress
from stages.core.archive import Archive
from stages.images import archived, images
from stages.mask.combine import Mask, combine
from stages.mask.settings import MaskSettings
from stages.schemas import crops, masks

Row = dict[str, object]


def make_mask(crop_archive: Archive, maps: dict[str, Archive], rule: MaskSettings, image_id: str) -> tuple[bytes, Row]:
    """Make the mask of one crop from the maps by segmenter: a PNG (or nothing), and its columns of data/masks.csv."""
    try:
        size_wh = archived.read_size_wh(crop_archive, crops.file_name(image_id))
        saliency_maps = {name: archived.read_mask(maps[name], masks.file_name(image_id)) for name in rule.weights}
    except images.ImageError as error:
        return b"", {"status": "failed", "reason": error.reason}
    mask = combine(saliency_maps, size_wh, rule)
    return images.encode(mask.alpha, ".png"), record(mask)


def write_masks(
    path: Path, image_ids: list[str], crop_archive: Archive, maps: dict[str, Archive], rule: MaskSettings
) -> dict[str, Row]:
    """Write the masks of crops into one archive; return their columns of data/masks.csv by image id."""
    made = batches.ordered_thread_map(partial(make_mask, crop_archive, maps, rule), image_ids, ahead=32)
    rows = {}
    with archive.writing(path) as add:
        for image_id, (content, row) in progress.track(made, len(image_ids), "crop", "mask"):
            if content:
                add(masks.file_name(image_id), content)
            rows[image_id] = row
    return rows


def record(mask: Mask) -> Row:
    """The columns of data/masks.csv for a mask."""
    return {
        "coverage": mask.coverage,
        "agreement": np.nan if mask.agreement is None else mask.agreement,
        "n_regions": mask.regions,
        "is_masked": not mask.reason,
        "mask_reason": mask.reason,
    }


def complete(boxes: pd.DataFrame, masked: dict[str, Row]) -> pd.DataFrame:
    """The table data/masks.csv: the rows of data/boxes.csv with the columns in `masked`, by image id, of each crop."""
    unmasked: Row = {"coverage": np.nan, "agreement": np.nan, "n_regions": 0, "is_masked": False, "mask_reason": ""}
    rows = []
    for box in boxes[["image_id", "path", "status", "reason"]].to_dict("records"):
        columns = masked[str(box["image_id"])] if box["status"] == "ok" else {}
        rows.append(box | unmasked | columns)
    return pd.DataFrame(rows, columns=list(masks.COLUMNS))


def count(table: pd.DataFrame) -> dict[str, object]:
    """Counts for metrics: masks used, the reasons for others, the medians of coverage and agreement."""
    usable = table[table["status"] == "ok"]
    reasons = usable.loc[usable["mask_reason"] != "", "mask_reason"].value_counts().to_dict()
    medians = {f"median_{name}": usable[name].median() for name in ("coverage", "agreement")}
    rounded = {name: round(float(value), 4) for name, value in medians.items() if pd.notna(value)}
    return {"crops": len(usable), "masked": int(usable["is_masked"].sum()), "reason": reasons, **rounded}
