"""Select and crop the main car of each photo, or record why there is none."""

import argparse
from pathlib import Path

import pandas as pd

from stages.core import atomic, command, memory, progress, settings, tables
from stages.core.shard_writer import ShardFolder
from stages.crop import reviewed_boxes
from stages.crop.cropping import (
    count,
    make_split_table,
    require_every_class,
    select_boxes,
    threshold_tables,
    with_failures,
    write_crops,
)
from stages.crop.settings import CropSettings
from stages.schemas import detection_failures, detections, manifest, shards
from stages.sources.photos import Photos, require_reachable
from stages.sources.settings import SourceSettings

# Of the manifest, all but what was repaired in photos and what their near-duplicates are found by.
_COLUMNS = [name for name in manifest.COLUMNS if name not in ("note", "phash")]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "manifest", "shards", "detections", "failures", "corrections", "boxes", "splits", "crops"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("memory", "metrics", "details", "thresholds"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


def choose_boxes(args: argparse.Namespace, photos: pd.DataFrame, rule: CropSettings) -> pd.DataFrame:
    """data/boxes.csv before a photo is read, and how the counts move with the thresholds, which is written."""
    found = detections.read(args.detections)
    for name, moved in threshold_tables(photos, found, rule).items():
        tables.write(args.thresholds / f"{name}.csv", moved)
    drawn = reviewed_boxes.read(args.corrections, photos)
    table = reviewed_boxes.apply(select_boxes(photos, found, rule), drawn, rule)
    # Such a photo is not tried: it would end this process, too.
    known = detection_failures.read(args.failures)
    return with_failures(table, pd.Series([known.get(name, "") for name in table["image_id"]], table.index, dtype=str))


def main() -> None:
    """Write data/boxes.csv, data/splits.csv, data/crops, the counts, and how they move with the thresholds."""
    args = arguments()
    rule = settings.read(args.params, "crop", CropSettings)
    photos = manifest.read(args.manifest, _COLUMNS)
    source = settings.read(args.params, "ingest", SourceSettings, subset=True)
    table = choose_boxes(args, photos, rule)
    photos = photos[["image_id", "path", "label", "status", "group", "split"]]  # the rest would stay in memory
    memory.release()
    archive = ShardFolder(args.crops, args.memory)
    failures = write_crops(archive, Photos(source), rule, table.assign(split=photos["split"]), shards.read(args.shards))
    table = with_failures(table, failures)
    tables.write(args.boxes, table)
    splits = make_split_table(photos, table)
    tables.write(args.splits, splits)
    n_cropped = int(table["is_cropped"].sum())
    atomic.write_json(args.metrics, {"photos": n_cropped})
    atomic.write_json(args.details, count(table, photos))
    tables.require_usable(args.boxes, table)
    require_reachable(source, photos["split"][failures.index], failures)
    require_every_class(args.splits, splits, photos)
    n_failed = int((table["status"] == "failed").sum() - (photos["status"] == "failed").sum())
    progress.summary("crop", photos=len(failures), cropped=n_cropped, failed=n_failed)


if __name__ == "__main__":
    command.run(main)
