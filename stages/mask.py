"""Average the maps of all segmenters into one mask a crop, keep the car's own region, and say which to believe."""

import argparse
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from stages.imaging import batches, images
from stages.imaging.masks import Mask, MaskParams, combine
from stages.records import archive, atomic, command, crops, masks, params, progress, tables
from stages.records.archive import Archive

Row = dict[str, object]


def make_mask(pictures: Archive, maps: dict[str, Archive], rule: MaskParams, image_id: str) -> tuple[bytes, Row]:
    """Make the mask of one crop from the maps by segmenter: a PNG (or nothing), and what data/masks.csv says of it."""
    try:
        size_wh = images.stored_size_wh(pictures, crops.picture_of(image_id))
        planes = {name: images.stored_mask(maps[name], masks.picture_of(image_id)) for name in rule.weights}
    except images.ImageError as error:
        return b"", {"status": "failed", "reason": error.reason}
    mask = combine(planes, size_wh, rule)
    return images.encode(mask.alpha, ".png"), record(mask)


def write_masks(
    path: Path, image_ids: list[str], pictures: Archive, maps: dict[str, Archive], rule: MaskParams
) -> dict[str, Row]:
    """Write the masks of crops into one archive; what data/masks.csv says of each, by image id."""
    made = batches.mapped(partial(make_mask, pictures, maps, rule), image_ids, ahead=32)
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


def clear_strangers(folder: Path, names: Iterable[str]) -> list[Path]:
    """Remove the archives of maps that no segmenter of these names draws; they would count as read by what reads maps.

    DVC's cache still has them. The files that it was.
    """
    strangers = sorted(set(folder.glob("*.zip")) - {folder / f"{name}.zip" for name in names})
    for path in strangers:
        path.unlink()
    return strangers


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
    """Write data/masks.zip, data/masks.csv and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "boxes", "crops", "maps", "masks", "table", "metrics"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    rule = params.read(arguments.params, "mask", MaskParams)
    check_segmenters(arguments.params, rule)
    chosen = crops.read(arguments.boxes)
    image_ids = chosen.loc[chosen["status"] == "ok", "image_id"].tolist()
    for path in clear_strangers(arguments.maps, rule.weights):
        print(f"mask: {path} removed: no segmenter has this name", file=sys.stderr)
    maps = {name: Archive(arguments.maps / f"{name}.zip") for name in rule.weights}
    table = complete(chosen, write_masks(arguments.masks, image_ids, Archive(arguments.crops), maps, rule))
    tables.write(arguments.table, table)
    atomic.write_json(arguments.metrics, count(table))
    progress.summary("mask", crops=len(image_ids), masked=int(table["is_masked"].sum()))


if __name__ == "__main__":
    command.run(main)
