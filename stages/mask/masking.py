"""Average the maps of all segmenters into one mask a crop, keep the car's own region, and say which to believe."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from stages.core import archive, batches, progress
from stages.core.archive import Archive
from stages.images import images
from stages.mask.combine import Mask, combine
from stages.mask.settings import MaskSettings
from stages.schemas import crops, masks

Row = dict[str, object]


def make_mask(pictures: Archive, maps: dict[str, Archive], rule: MaskSettings, image_id: str) -> tuple[bytes, Row]:
    """Make the mask of one crop from the maps by segmenter: a PNG (or nothing), and what data/masks.csv says of it."""
    try:
        size_wh = images.stored_size_wh(pictures, crops.picture_of(image_id))
        planes = {name: images.stored_mask(maps[name], masks.picture_of(image_id)) for name in rule.weights}
    except images.ImageError as error:
        return b"", {"status": "failed", "reason": error.reason}
    mask = combine(planes, size_wh, rule)
    return images.encode(mask.alpha, ".png"), record(mask)


def write_masks(
    path: Path, image_ids: list[str], pictures: Archive, maps: dict[str, Archive], rule: MaskSettings
) -> dict[str, Row]:
    """Write the masks of crops into one archive; what data/masks.csv says of each, by image id."""
    made = batches.ordered_thread_map(partial(make_mask, pictures, maps, rule), image_ids, ahead=32)
    rows = {}
    with archive.writing(path) as add:
        for image_id, (content, row) in progress.track(made, len(image_ids), "crop", "mask"):
            if content:
                add(masks.picture_of(image_id), content)
            rows[image_id] = row
    return rows


def record(mask: Mask) -> Row:
    """What data/masks.csv says of a mask."""
    return {
        "coverage": mask.coverage,
        "agreement": np.nan if mask.agreement is None else mask.agreement,
        "n_regions": mask.regions,
        "is_masked": not mask.reason,
        "mask_reason": mask.reason,
    }


def complete(boxes: pd.DataFrame, made: dict[str, Row]) -> pd.DataFrame:
    """data/masks.csv: the rows of data/boxes.csv with what was `made`, by image id, of those that have a crop."""
    nothing: Row = {"coverage": np.nan, "agreement": np.nan, "n_regions": 0, "is_masked": False, "mask_reason": ""}
    rows = []
    for box in boxes[["image_id", "path", "status", "reason"]].to_dict("records"):
        found = made[str(box["image_id"])] if box["status"] == "ok" else {}
        rows.append(box | nothing | found)
    return pd.DataFrame(rows, columns=list(masks.COLUMNS))


def count(table: pd.DataFrame) -> dict[str, object]:
    """Counts for metrics: masks used, the reasons for others, the middle of coverage and agreement."""
    usable = table[table["status"] == "ok"]
    reasons = usable.loc[usable["mask_reason"] != "", "mask_reason"].value_counts().to_dict()
    middles = {f"median_{name}": usable[name].median() for name in ("coverage", "agreement")}
    known = {name: round(float(value), 4) for name, value in middles.items() if pd.notna(value)}
    return {"crops": len(usable), "masked": int(usable["is_masked"].sum()), "reason": reasons, **known}


def remove_unexpected_files(folder: Path, names: Iterable[str]) -> list[Path]:
    """Remove the archives of maps that no segmenter of these names draws; they would count as read by what reads maps.

    DVC's cache still has them. The files that it was.
    """
    strangers = sorted(set(folder.glob("*.zip")) - {folder / f"{name}.zip" for name in names})
    for path in strangers:
        path.unlink()
    return strangers
