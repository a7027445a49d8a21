"""Draw the soft mask of the car in every crop, and say which masks cover too little or too much to be used."""

import argparse
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from stages.imaging import batches, images, runtime, segmentation
from stages.imaging.networks import SEGMENTERS, Segmenter
from stages.imaging.runtime import Network
from stages.imaging.segmentation import SegmentParams
from stages.records import atomic, crops, masks, params, progress, tables


class Prepared(NamedTuple):
    """One crop ready for the network, its own size, and the reason where it cannot be read."""

    picture: np.ndarray | None
    size_wh: tuple[int, int]
    reason: str


def read_prepared(folder: Path, spec: Segmenter, image_id: str) -> Prepared:
    """Decode the crop of one photo and prepare it for the network."""
    try:
        crop = images.read(folder / f"{image_id}.jpg")
    except images.ImageError as error:
        return Prepared(None, (0, 0), error.reason)
    return Prepared(segmentation.prepare(crop, spec), (crop.shape[1], crop.shape[0]), "")


def segment_all(
    image_ids: list[str], folder: Path, network: Network, spec: Segmenter, batch_size: int
) -> Iterator[tuple[str, np.ndarray | None, str]]:
    """Yield the image id, its mask `(H, W)` uint8 or None, and the reason for None, in order."""
    ready = batches.mapped(partial(read_prepared, folder, spec), image_ids, ahead=2 * batch_size)
    tracked = progress.track(ready, len(image_ids), "crop", "segment")
    for group in batches.grouped(tracked, batch_size):
        yield from ((image_id, None, crop.reason) for image_id, crop in group if crop.picture is None)
        kept = [(image_id, crop.picture, crop.size_wh) for image_id, crop in group if crop.picture is not None]
        if kept:
            names, pictures, sizes = zip(*kept)
            for name, mask in zip(names, segmentation.segment(np.stack(pictures), list(sizes), network)):
                yield name, mask, ""


def record(image_id: str, mask: np.ndarray | None, reason: str, settings: SegmentParams) -> dict[str, object]:
    """What data/masks.csv says of one photo's mask."""
    if mask is None:
        return {"image_id": image_id, "coverage": np.nan, "is_masked": False, "mask_reason": "", "failure": reason}
    share = round(segmentation.coverage(mask), 4)
    why = segmentation.judge(share, settings)
    return {"image_id": image_id, "coverage": share, "is_masked": not why, "mask_reason": why, "failure": ""}


def complete(boxes: pd.DataFrame, found: list[dict[str, object]]) -> pd.DataFrame:
    """data/masks.csv: the rows of data/boxes.csv with what was found for those that have a crop."""
    columns = ["image_id", "coverage", "is_masked", "mask_reason", "failure"]
    table = boxes[["image_id", "path", "status", "reason"]].copy()
    by_id = pd.DataFrame(found, columns=columns).set_index("image_id")
    usable = table["status"] == "ok"
    looked = by_id.reindex(table["image_id"].where(usable)).set_axis(table.index)
    failed = looked["failure"].fillna("") != ""
    table.loc[failed, "status"] = "failed"
    table.loc[failed, "reason"] = looked.loc[failed, "failure"]
    table["coverage"] = looked["coverage"].astype(float)
    table["is_masked"] = looked["is_masked"].eq(True)
    table["mask_reason"] = looked["mask_reason"].fillna("")
    return table[list(masks.COLUMNS)]


def count(table: pd.DataFrame) -> dict[str, object]:
    """Counts for metrics: masks used, the reasons for others, the middle of the coverage."""
    usable = table[table["status"] == "ok"]
    reasons = usable.loc[usable["mask_reason"] != "", "mask_reason"].value_counts().to_dict()
    median = usable["coverage"].median()
    coverage = {} if pd.isna(median) else {"median_coverage": round(float(median), 4)}
    return {"crops": len(usable), "masked": int(usable["is_masked"].sum()), "reason": reasons, **coverage}


def main() -> None:
    """Write data/masks, data/masks.csv and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "boxes", "crops", "networks", "masks", "table", "metrics"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    settings = params.read(arguments.params, "segment", SegmentParams)
    spec = SEGMENTERS[settings.network]
    network = runtime.load(arguments.networks / spec.file, [spec.output], settings.runtime)
    chosen = crops.read(arguments.boxes)
    image_ids = chosen.loc[chosen["status"] == "ok", "image_id"].tolist()
    arguments.masks.mkdir(parents=True, exist_ok=True)
    found = []
    for image_id, mask, reason in segment_all(image_ids, arguments.crops, network, spec, settings.runtime.batch_size):
        found.append(record(image_id, mask, reason, settings))
        if mask is not None:
            images.write(arguments.masks / f"{image_id}.png", mask)
    table = complete(chosen, found)
    tables.write(arguments.table, table)
    atomic.write_json(arguments.metrics, count(table))
    progress.summary("segment", crops=len(image_ids), masked=int(table["is_masked"].sum()))


if __name__ == "__main__":
    main()
