"""Average the maps of all segmenters into one mask a crop, keep the car's own region, and say which to believe."""

import argparse
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from stages.imaging import batches, images
from stages.imaging.masks import Mask, MaskParams, combine
from stages.records import atomic, command, crops, masks, params, progress, tables

Row = dict[str, object]


def write_mask(crop_folder: Path, map_folder: Path, out: Path, rule: MaskParams, image_id: str) -> Row:
    """Make and write the mask of one crop; what data/masks.csv says of it."""
    maps = {name: map_folder / name / f"{image_id}.png" for name in rule.weights}
    try:
        size_wh = images.read_size(crop_folder / f"{image_id}.jpg")
        planes = {name: images.read_mask(path) for name, path in maps.items()}
    except images.ImageError as error:
        return {"status": "failed", "reason": error.reason}
    mask = combine(planes, size_wh, rule)
    images.write(out / f"{image_id}.png", mask.alpha)
    return record(mask)


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


def check_segmenters(path: Path, rule: MaskParams) -> None:
    """Raise ParamError unless `mask.weights` names exactly the segmenters there are."""
    known = set(map(str, params.load(path).get("segmenters") or {}))
    strange = sorted(known ^ set(rule.weights))
    if strange:
        raise params.ParamError(
            f"mask.weights: expected a weight for each of `segmenters` ({', '.join(sorted(known))}), "
            f"found {', '.join(sorted(rule.weights))}; `{strange[0]}` is on one side only"
        )


def main() -> None:
    """Write data/masks, data/masks.csv and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "boxes", "crops", "maps", "masks", "table", "metrics"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    rule = params.read(arguments.params, "mask", MaskParams)
    check_segmenters(arguments.params, rule)
    chosen = crops.read(arguments.boxes)
    image_ids = chosen.loc[chosen["status"] == "ok", "image_id"].tolist()
    arguments.masks.mkdir(parents=True, exist_ok=True)
    writer = partial(write_mask, arguments.crops, arguments.maps, arguments.masks, rule)
    written = progress.track(batches.mapped(writer, image_ids, ahead=32), len(image_ids), "crop", "mask")
    table = complete(chosen, dict(written))
    tables.write(arguments.table, table)
    atomic.write_json(arguments.metrics, count(table))
    progress.summary("mask", crops=len(image_ids), masked=int(table["is_masked"].sum()))


if __name__ == "__main__":
    command.run(main)
