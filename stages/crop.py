"""Choose the main car of each photo by the rule in `params.yaml`, cut it out, and say why where there is none."""

import argparse
from collections.abc import Hashable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from stages.imaging import batches, boxes, images
from stages.imaging.selection import Choice, CropParams, choose, cut
from stages.records import atomic, crops, detections, manifest, params, progress, tables

Row = dict[Hashable, object]


def choose_all(photos: pd.DataFrame, found: pd.DataFrame, rule: CropParams) -> pd.DataFrame:
    """data/boxes.csv for all rows of the manifest `photos`, from the detections `found`; reads no photo."""
    by_photo = {str(image_id): rows for image_id, rows in found.groupby("image_id")}
    none = found.iloc[:0]
    rows = [choose_one(photo, by_photo.get(photo["image_id"], none), rule) for photo in photos.to_dict("records")]
    return pd.DataFrame(rows, columns=list(crops.COLUMNS))


def choose_one(photo: Row, found: pd.DataFrame, rule: CropParams) -> Row:
    """The row of data/boxes.csv for one row of the manifest and its detections."""
    row: Row = {name: photo[name] for name in ("image_id", "path", "status", "reason")}
    row |= {"is_cropped": False, "class_name": "", "n_vehicles": 0}
    if photo["status"] != "ok" or rule.region == "photo":
        return row
    corners = found[boxes.COLUMNS].to_numpy(dtype=np.float64)
    size_wh = int(str(photo["width"])), int(str(photo["height"]))
    choice = choose(corners, found["score"].to_numpy(), found["class_name"].to_numpy(), size_wh, rule)
    row["n_vehicles"] = choice.n_vehicles
    if choice.index is None:
        return row | _rejected(choice, rule)
    chosen = found.iloc[choice.index]
    return row | {"is_cropped": True} | {name: chosen[name] for name in ("score", "class_name", *boxes.COLUMNS)}


def _rejected(choice: Choice, rule: CropParams) -> Row:
    return {"reason": choice.reason, "status": "ok" if rule.rejected == "whole" else "dropped"}


def write_crop(root: Path, folder: Path, margin: float, row: Row) -> str:
    """Cut the photo of one row of data/boxes.csv and write it; the reason if that failed, else an empty text."""
    box = np.array([row[name] for name in boxes.COLUMNS], dtype=np.float64) if row["is_cropped"] else None
    try:
        photo = images.read(root / str(row["path"]), str(row["image_id"]))
    except images.ImageError as error:
        return error.reason
    images.write(folder / f"{row['image_id']}.jpg", cut(photo, box, margin))
    return ""


def with_failures(table: pd.DataFrame, reasons: pd.Series) -> pd.DataFrame:
    """data/boxes.csv once the crops were tried: a row for which there is a reason failed and has no crop."""
    failed = reasons.index[reasons != ""]
    tried = table.copy()
    tried.loc[failed, "status"] = "failed"
    tried.loc[failed, "is_cropped"] = False
    tried.loc[failed, "reason"] = reasons[failed]
    return tried


def count(table: pd.DataFrame, photos: pd.DataFrame) -> dict[str, object]:
    """Counts for metrics: crops, and reasons in all, by class and by split."""
    tried = table[photos["status"].to_numpy() == "ok"].join(photos[["label", "split"]])
    reasons = tried[tried["reason"] != ""]
    return {
        "photos": len(tried),
        "cropped": int(tried["is_cropped"].sum()),
        "reason": reasons["reason"].value_counts().to_dict(),
        "by_class": {str(name): rows["reason"].value_counts().to_dict() for name, rows in reasons.groupby("label")},
        "by_split": {str(name): rows["reason"].value_counts().to_dict() for name, rows in reasons.groupby("split")},
    }


def main() -> None:
    """Write data/boxes.csv, data/crops and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "manifest", "detections", "source", "boxes", "crops", "metrics"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    rule = params.read(arguments.params, "crop", CropParams)
    photos = manifest.read(arguments.manifest)
    table = choose_all(photos, detections.read(arguments.detections), rule)
    wanted = table[table["status"] == "ok"]
    arguments.crops.mkdir(parents=True, exist_ok=True)
    writer = partial(write_crop, manifest.photo_root(arguments.source), arguments.crops, rule.margin)
    written = batches.mapped(writer, wanted.to_dict("records"), ahead=32)
    failures = [reason for _, reason in progress.track(written, len(wanted), "photo", "crop")]
    table = with_failures(table, pd.Series(failures, wanted.index, dtype=str))
    tables.write(arguments.boxes, table)
    atomic.write_json(arguments.metrics, count(table, photos))
    progress.summary(
        "crop", photos=len(wanted), cropped=int(table["is_cropped"].sum()), failed=sum(map(bool, failures))
    )


if __name__ == "__main__":
    main()
