"""Remove, blur or keep the background, and fit every crop into one frame."""

import argparse
from pathlib import Path

from stages.core import atomic, command, progress, tables
from stages.core.archive import Archive
from stages.core.settings import read as read_settings
from stages.resize.framing import Crop, complete, count, require_every_class, write_model_inputs
from stages.resize.settings import ResizeSettings
from stages.schemas import manifest, masks, shards


def main() -> None:
    """Write data/model_inputs, data/model_inputs.csv and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "manifest", "shards", "crops", "masks", "mask-table", "out", "memory", "table", "details"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    settings = read_settings(arguments.params, "resize", ResizeSettings)
    photos, masked = manifest.read(arguments.manifest), masks.read(arguments.mask_table)
    tables.require_same_rows(arguments.mask_table, masked, arguments.manifest, photos)
    wanted = masked[masked["status"] == "ok"]
    chosen = map(Crop, wanted["image_id"].tolist(), wanted["is_masked"].tolist())
    by_shard = shards.read(arguments.shards).split(zip(wanted["image_id"], chosen))
    archives = Archive(arguments.crops), Archive(arguments.masks)
    made = write_model_inputs(arguments.out, arguments.memory, by_shard, *archives, settings)
    table = complete(photos, masked, made)
    tables.write(arguments.table, table)
    atomic.write_json(arguments.details, count(table))
    tables.require_usable(arguments.table, table)
    require_every_class(arguments.table, table, photos)
    progress.summary("resize", crops=len(wanted), padded=int((table["status"] == "ok").sum()))


if __name__ == "__main__":
    command.run(main)
