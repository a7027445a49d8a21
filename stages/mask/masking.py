"""Combine the maps of all segmenters into one mask per crop, and decide which masks to use."""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd

from stages.core import batches, progress, shard_writer, system
from stages.core.archive import Archive
from stages.core.result_cache import code_digest
from stages.core.shard_writer import Made, ShardFolder
from stages.images import archived, images
from stages.mask.combine import Mask, combine
from stages.mask.settings import MaskSettings
from stages.schemas import corrections, crops, masks

Row = dict[str, object]


def make_mask(crop_archive: Archive, maps: dict[str, Archive], rule: MaskSettings, image_id: str) -> tuple[bytes, Row]:
    """Make the mask of one crop from the maps by segmenter: a PNG, and its columns of data/masks.csv.

    Raises ImageError where an archive is damaged.
    """
    size_wh = archived.read_size_wh(crop_archive, crops.file_name(image_id))
    saliency_maps = {name: archived.read_mask(maps[name], masks.file_name(image_id)) for name in rule.weights}
    mask = combine(saliency_maps, size_wh, rule)
    return images.encode(mask.alpha, ".png"), record(mask)


def write_masks(
    archive: ShardFolder,
    by_shard: dict[str, list[str]],
    crop_archive: Archive,
    maps: dict[str, Archive],
    rule: MaskSettings,
) -> dict[str, Row]:
    """Write the masks of crops, given as image ids by shard.

    Returns their columns of data/masks.csv by image id.
    """

    def make(image_ids: list[str]) -> Iterator[Made]:
        made = batches.ordered_thread_map(partial(make_mask, crop_archive, maps, rule), image_ids, ahead=32)
        for image_id, (content, row) in progress.track(made, len(image_ids), "crop", "mask"):
            yield Made(masks.file_name(image_id), content, [image_id, row])

    common = [code_digest("stages.mask.masking"), system.image_libraries(), rule.model_dump()]
    tasks = shard_writer.of_archives(by_shard, {"": crop_archive, **maps}, lambda ids: [*common, ids])
    return dict(archive.update(tasks, make))


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
    own = {name: boxes[name].tolist() for name in ("image_id", "path", "status", "reason")}
    found = [masked[name] if status == "ok" else {} for name, status in zip(own["image_id"], own["status"])]
    columns: dict[str, list[object]] = {
        name: [row.get(name, value) for row in found] for name, value in unmasked.items()
    }
    columns |= {name: [row.get(name, value) for row, value in zip(found, own[name])] for name in own}
    return pd.DataFrame(columns, columns=list(masks.COLUMNS))


def keep_backgrounds(table: pd.DataFrame, decisions: pd.DataFrame) -> pd.DataFrame:
    """The table without the masks that people decided against."""
    is_kept = table["is_masked"] & table["image_id"].isin(
        decisions.loc[decisions["kind"] == corrections.NO_MASK, "image_id"]
    )
    reasons = table["mask_reason"].mask(is_kept, masks.KEPT_BY_REVIEW)
    return table.assign(is_masked=table["is_masked"] & ~is_kept, mask_reason=reasons)


def count(table: pd.DataFrame) -> dict[str, object]:
    """Counts for metrics: masks used, the reasons for others, the medians of coverage and agreement."""
    usable = table[table["status"] == "ok"]
    reasons = usable.loc[usable["mask_reason"] != "", "mask_reason"].value_counts().to_dict()
    medians = {f"median_{name}": usable[name].median() for name in ("coverage", "agreement")}
    rounded = {name: round(float(value), 4) for name, value in medians.items() if pd.notna(value)}
    return {"crops": len(usable), "masked": int(usable["is_masked"].sum()), "reason": reasons, **rounded}
