"""Combine the maps of all segmenters into one mask per crop, and decide which masks to use."""

from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

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
from stages.schemas.shards import Assignment


class Row(NamedTuple):
    """The columns of data/masks.csv for a mask."""

    coverage: float
    agreement: float
    n_regions: int
    is_masked: bool
    mask_reason: str


_NO_ROWS = pd.DataFrame({name: pd.Series(dtype=masks.COLUMNS[name]) for name in Row._fields})


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
    image_ids: "pd.Series[str]",
    assignment: Assignment,
    crop_archive: Archive,
    maps: dict[str, Archive],
    rule: MaskSettings,
) -> pd.DataFrame:
    """Write the masks of crops.

    Returns their columns of data/masks.csv with the index of `image_ids`, not in its order.
    """

    def make(numbers: np.ndarray) -> Iterator[Made]:
        wanted = (image_ids.iloc[number] for number in numbers)
        made = batches.ordered_thread_map(partial(make_mask, crop_archive, maps, rule), wanted, ahead=32)
        for image_id, (content, row) in progress.track(made, len(numbers), "crop", "mask"):
            yield Made(masks.file_name(image_id), content, list(row))

    by_shard = assignment.split(image_ids)
    common = [code_digest("stages.mask.masking"), system.image_libraries(), rule.model_dump()]
    tasks = shard_writer.of_archives(
        by_shard, {"": crop_archive, **maps}, lambda numbers: [*common, image_ids.iloc[numbers].tolist()]
    )
    rows = batches.batched(archive.update(tasks, make), batches.ROWS_AT_ONCE)
    parts = [_NO_ROWS, *(pd.DataFrame(some, columns=list(Row._fields)).astype(_NO_ROWS.dtypes) for some in rows)]
    order = shard_writer.concatenated(by_shard.values())
    return pd.concat(parts, ignore_index=True).set_axis(image_ids.index[order])


def record(mask: Mask) -> Row:
    """The columns of data/masks.csv for a mask."""
    agreement = np.nan if mask.agreement is None else mask.agreement
    return Row(mask.coverage, agreement, mask.regions, not mask.reason, mask.reason)


def complete(boxes: pd.DataFrame, masked: pd.DataFrame) -> pd.DataFrame:
    """The table data/masks.csv: rows of data/boxes.csv with the columns in `masked`, by its index, of each crop."""
    own = masked.reindex(boxes.index)
    own["n_regions"] = own["n_regions"].fillna(0).astype(np.int64)
    own["is_masked"] = own["is_masked"] == True  # noqa: E712 - also of rows without a mask
    own["mask_reason"] = own["mask_reason"].fillna("")
    return boxes[list(masks.OF_BOXES)].join(own)[list(masks.COLUMNS)]


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
