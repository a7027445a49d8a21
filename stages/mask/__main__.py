"""Combine the maps of all segmenters into one mask per crop."""

import argparse
from pathlib import Path

from stages.core import atomic, command, progress, settings, stale_files, tables
from stages.core.archive import Archive
from stages.core.shard_writer import ShardFolder
from stages.images.settings import any_uses_masks
from stages.mask.masking import complete, count, keep_backgrounds, write_masks
from stages.mask.settings import MaskSettings, check_segmenters
from stages.schemas import corrections, crops, masks, shards


def main() -> None:
    """Write data/masks, data/masks.csv and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "boxes", "shards", "corrections", "crops", "maps", "masks"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("memory", "table", "metrics", "details"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    rule = settings.read(arguments.params, "mask", MaskSettings)
    check_segmenters(arguments.params, rule)
    chosen = crops.read(arguments.boxes, masks.OF_BOXES)
    used = chosen.loc[chosen["status"] == "ok", "image_id"]
    # The folder of maps is a dependency as a whole.
    stale_files.print_removed("mask", stale_files.remove(arguments.maps, rule.weights, "{}"), "segmenter")
    maps = {name: Archive(arguments.maps / name) for name in rule.weights}
    needed = used if any_uses_masks(arguments.params) else used.iloc[:0]
    archive = ShardFolder(arguments.masks, arguments.memory)
    masked = write_masks(archive, needed, shards.read(arguments.shards), Archive(arguments.crops), maps, rule)
    table = complete(chosen, masked)
    table = keep_backgrounds(table, corrections.read(arguments.corrections))
    tables.write(arguments.table, table)
    n_masked = int(table["is_masked"].sum())
    atomic.write_json(arguments.metrics, {"photos": n_masked})
    atomic.write_json(arguments.details, count(table))
    tables.require_usable(arguments.table, table)
    progress.summary("mask", crops=len(used), masked=n_masked)


if __name__ == "__main__":
    command.run(main)
