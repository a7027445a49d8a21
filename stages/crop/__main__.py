"""Select and crop the main car of each photo, or record why there is none."""

import argparse
from pathlib import Path

import pandas as pd

from stages.core import atomic, command, progress, settings, tables
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


def main() -> None:
    """Write data/boxes.csv, data/splits.csv, data/crops, the counts, and how they move with the thresholds."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "manifest", "shards", "detections", "failures", "corrections", "boxes", "splits", "crops"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("memory", "metrics", "details", "thresholds"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    rule = settings.read(arguments.params, "crop", CropSettings)
    photos, found = manifest.read(arguments.manifest, _COLUMNS), detections.read(arguments.detections)
    source = settings.read(arguments.params, "ingest", SourceSettings, subset=True)
    sources = Photos(source)
    drawn = reviewed_boxes.read(arguments.corrections, photos)
    table = reviewed_boxes.apply(select_boxes(photos, found, rule), drawn, rule)
    # Such a photo is not tried: it would end this process, too.
    known = detection_failures.read(arguments.failures)
    table = with_failures(table, pd.Series([known.get(name, "") for name in table["image_id"]], table.index, dtype=str))
    wanted = table[table["status"] == "ok"].join(photos["split"])
    assignment = shards.read(arguments.shards)
    archive = ShardFolder(arguments.crops, arguments.memory)
    failures = write_crops(archive, sources, rule, wanted, assignment)
    table = with_failures(table, failures)
    tables.write(arguments.boxes, table)
    splits = make_split_table(photos, table)
    tables.write(arguments.splits, splits)
    n_cropped = int(table["is_cropped"].sum())
    atomic.write_json(arguments.metrics, {"photos": n_cropped})
    atomic.write_json(arguments.details, count(table, photos))
    for name, moved in threshold_tables(photos, found, rule).items():
        tables.write(arguments.thresholds / f"{name}.csv", moved)
    tables.require_usable(arguments.boxes, table)
    require_reachable(source, wanted["split"], failures)
    require_every_class(arguments.splits, splits, photos)
    progress.summary("crop", photos=len(wanted), cropped=n_cropped, failed=int((failures != "").sum()) + len(known))


if __name__ == "__main__":
    command.run(main)
