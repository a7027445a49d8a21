"""Choose the main car of each photo by the rule in `params.yaml`, cut it out, and say why where there is none."""

import argparse
from collections.abc import Hashable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import fisher_exact

from stages.imaging import batches, boxes, images, thresholds
from stages.imaging.selection import NOTHING, Candidates, Choice, CropParams, choose, cut
from stages.imaging.thresholds import Seen
from stages.records import archive, atomic, command, crops, detections, manifest, params, progress, tables

Row = dict[Hashable, object]
# More photos would not change what a table of thresholds shows.
_N_SWEPT = 2000
_SURPRISING = 0.05


def candidates(found: pd.DataFrame) -> dict[str, Candidates]:
    """The boxes of each photo, by image id, from the rows of data/detections.csv."""
    corners, scores = found[boxes.COLUMNS].to_numpy(dtype=np.float64), found["score"].to_numpy(dtype=np.float64)
    names = found["class_name"].to_numpy(dtype=object)
    places = found.groupby("image_id").indices
    return {str(name): Candidates(corners[rows], scores[rows], names[rows]) for name, rows in places.items()}


def choose_all(photos: pd.DataFrame, found: pd.DataFrame, rule: CropParams) -> pd.DataFrame:
    """data/boxes.csv for all rows of the manifest `photos`, from the detections `found`; reads no photo."""
    by_photo = candidates(found)
    rows = [
        choose_one(photo, by_photo.get(str(photo["image_id"]), NOTHING), rule) for photo in photos.to_dict("records")
    ]
    return pd.DataFrame(rows, columns=list(crops.COLUMNS))


def choose_one(photo: Row, found: Candidates, rule: CropParams) -> Row:
    """The row of data/boxes.csv for one row of the manifest and what was found in its photo."""
    row: Row = {name: photo[name] for name in ("image_id", "path", "status", "reason")}
    row |= {"is_cropped": False, "class_name": "", "n_vehicles": 0, "rival": 0.0}
    if photo["status"] != "ok" or rule.region == "photo":
        return row
    choice = choose(found, (int(str(photo["width"])), int(str(photo["height"]))), rule)
    row |= {"n_vehicles": choice.n_vehicles, "rival": choice.rival}
    if choice.index is None:
        return row | _rejected(choice, rule)
    corners = dict(zip(boxes.COLUMNS, found.corners[choice.index].tolist()))
    chosen = {"score": found.scores[choice.index], "class_name": found.names[choice.index], **corners}
    return row | {"is_cropped": True} | chosen


def _rejected(choice: Choice, rule: CropParams) -> Row:
    return {"reason": choice.reason, "status": "ok" if rule.rejected == "whole" else "dropped"}


def make_crop(root: Path, rule: CropParams, row: Row) -> tuple[bytes, str]:
    """Cut the photo of one row of data/boxes.csv: the bytes of a JPEG and an empty text, or none and the reason."""
    box = np.array([row[name] for name in boxes.COLUMNS], dtype=np.float64) if row["is_cropped"] else None
    try:
        picture = cut(images.load(root / str(row["path"]), str(row["image_id"])), box, rule)
    except images.ImageError as error:
        return b"", error.reason
    return images.encode(picture, ".jpg"), ""


def write_crops(path: Path, root: Path, rule: CropParams, wanted: pd.DataFrame) -> pd.Series:
    """Write the crops of rows of data/boxes.csv into one archive; the reason of each row that failed, else nothing."""
    made = batches.mapped(partial(make_crop, root, rule), wanted.to_dict("records"), ahead=32)
    failures = []
    with archive.writing(path) as add:
        for row, (content, reason) in progress.track(made, len(wanted), "photo", "crop"):
            if not reason:
                add(crops.picture_of(str(row["image_id"])), content)
            failures.append(reason)
    return pd.Series(failures, wanted.index, dtype=str)


def with_failures(table: pd.DataFrame, reasons: pd.Series) -> pd.DataFrame:
    """data/boxes.csv once the crops were tried: a row for which there is a reason failed and has no crop."""
    failed = reasons.index[reasons != ""]
    tried = table.copy()
    tried.loc[failed, "status"] = "failed"
    tried.loc[failed, "is_cropped"] = False
    tried.loc[failed, "reason"] = reasons[failed]
    return tried


def look_again(photos: pd.DataFrame, found: pd.DataFrame, rule: CropParams) -> dict[str, pd.DataFrame]:
    """How the counts move with each threshold, on the first `_N_SWEPT` usable photos.

    The manifest is sorted by image id, a hash, so these are as good as drawn by lot.
    """
    usable, by_photo = photos[photos["status"] == "ok"].iloc[:_N_SWEPT], candidates(found)
    sizes = zip(usable["width"].tolist(), usable["height"].tolist())
    seen = [Seen(size_wh, by_photo.get(name, NOTHING)) for name, size_wh in zip(usable["image_id"], sizes)]
    return thresholds.sweep(seen, rule)


def count(table: pd.DataFrame, photos: pd.DataFrame) -> dict[str, object]:
    """Counts for metrics: crops, and reasons in all, by class and by split.

    `uneven` names the classes of which the rule refuses more than of the others, beyond what chance explains, with
    the probability of so many by chance (Fisher's exact test, one-sided, times the number of classes).
    """
    tried = table[photos["status"].to_numpy() == "ok"].join(photos[["label", "split"]])
    by_class = {str(name): _reasons(rows) for name, rows in tried.groupby("label")}
    return {
        **_reasons(tried),
        "cropped": int(tried["is_cropped"].sum()),
        "by_class": by_class,
        "by_split": {str(name): _reasons(rows) for name, rows in tried.groupby("split")},
        "uneven": uneven({name: (counts["refused"], counts["photos"]) for name, counts in by_class.items()}),
    }


def _reasons(rows: pd.DataFrame) -> dict[str, Any]:
    reasons = rows.loc[rows["reason"] != "", "reason"].value_counts().sort_index()
    return {"photos": len(rows), "refused": int(reasons.sum()), "reason": reasons.to_dict()}


def uneven(refused: dict[str, tuple[int, int]]) -> dict[str, float]:
    """The classes refused more often than all others together, from (refused, photos) of each: name to probability."""
    all_refused, all_photos = (sum(column) for column in zip(*refused.values())) if refused else (0, 0)
    found = {}
    for name, (count_refused, n_photos) in refused.items():
        rest_refused, rest = all_refused - count_refused, all_photos - n_photos
        cells = [[count_refused, n_photos - count_refused], [rest_refused, rest - rest_refused]]
        chance = len(refused) * fisher_exact(cells, alternative="greater").pvalue
        if chance < _SURPRISING:
            found[name] = float(f"{chance:.2g}")
    return found


def main() -> None:
    """Write data/boxes.csv, data/crops.zip, the counts, and how they move with the thresholds."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "manifest", "detections", "source", "boxes", "crops", "metrics", "thresholds"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    rule = params.read(arguments.params, "crop", CropParams)
    photos, found = manifest.read(arguments.manifest), detections.read(arguments.detections)
    table = choose_all(photos, found, rule)
    wanted = table[table["status"] == "ok"]
    failures = write_crops(arguments.crops, manifest.photo_root(arguments.source), rule, wanted)
    table = with_failures(table, failures)
    tables.write(arguments.boxes, table)
    atomic.write_json(arguments.metrics, count(table, photos))
    for name, moved in look_again(photos, found, rule).items():
        tables.write(arguments.thresholds / f"{name}.csv", moved)
    progress.summary(
        "crop", photos=len(wanted), cropped=int(table["is_cropped"].sum()), failed=int((failures != "").sum())
    )


if __name__ == "__main__":
    command.run(main)
