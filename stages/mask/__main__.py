"""Average the maps of all segmenters into one mask a crop, keep the car's own region, and say which to believe."""

import argparse
import sys
from pathlib import Path

from stages.core import atomic, command, progress, settings, tables
from stages.core.archive import Archive
from stages.mask.masking import complete, count, remove_unexpected_files, write_masks
from stages.mask.settings import MaskSettings, check_segmenters
from stages.schemas import crops


def main() -> None:
    """Write data/masks.zip, data/masks.csv and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "boxes", "crops", "maps", "masks", "table", "metrics"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    rule = settings.read(arguments.params, "mask", MaskSettings)
    check_segmenters(arguments.params, rule)
    chosen = crops.read(arguments.boxes)
    image_ids = chosen.loc[chosen["status"] == "ok", "image_id"].tolist()
    for path in remove_unexpected_files(arguments.maps, rule.weights):
        print(f"mask: {path} removed: no segmenter has this name", file=sys.stderr)
    maps = {name: Archive(arguments.maps / f"{name}.zip") for name in rule.weights}
    table = complete(chosen, write_masks(arguments.masks, image_ids, Archive(arguments.crops), maps, rule))
    tables.write(arguments.table, table)
    atomic.write_json(arguments.metrics, count(table))
    progress.summary("mask", crops=len(image_ids), masked=int(table["is_masked"].sum()))


if __name__ == "__main__":
    command.run(main)
