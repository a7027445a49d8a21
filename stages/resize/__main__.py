"""Make what models see by one entry of `inputs`, in one frame."""

import argparse
import sys
from pathlib import Path

import pandas as pd

from stages.core import atomic, command, progress, tables
from stages.core.archive import Archive
from stages.core.settings import read as read_settings
from stages.core.shard_writer import ShardFolder
from stages.images.settings import InputSettings, read_used
from stages.resize.composer import Composer
from stages.resize.framing import Sources, count, used_photos, write_model_inputs
from stages.resize.settings import ResizeSettings
from stages.schemas import masks, shards, split_table
from stages.sources.photos import Photos
from stages.sources.settings import SourceSettings


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", required=True, help="name of an entry of `inputs` in params.yaml")
    for name in ("params", "splits", "shards", "crops", "masks", "mask-table", "out", "memory", "details"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


def read_photos(args: argparse.Namespace, item: InputSettings) -> pd.DataFrame:
    """The photos whose model inputs are made; the tables of all take several times their memory."""
    splits = split_table.read(args.splits, ("image_id", "path", "split", "status"))
    masked = masks.read(args.mask_table, ("image_id", "path", "is_masked"))
    tables.require_same_rows(args.mask_table, masked, args.splits, splits)
    return used_photos(splits, masked, item.uses_masks)


def main() -> None:
    """Write the model inputs, none where no model sees them, and the counts."""
    args = arguments()
    item = read_settings(args.params, f"inputs.{args.input}", InputSettings)
    photos = read_photos(args, item)
    if args.input not in read_used(args.params):
        print(f"resize {args.input}: no model names this input: nothing is made", file=sys.stderr)
        photos = photos.iloc[:0]
    assignment = shards.read(args.shards)
    source = Photos(read_settings(args.params, "ingest", SourceSettings, subset=True))
    sources = Sources(Archive(args.crops), Archive(args.masks), source)
    composer = Composer(item, read_settings(args.params, "resize", ResizeSettings))
    archive = ShardFolder(args.out, args.memory)
    n_made = write_model_inputs(archive, photos, assignment, sources, composer, args.input)
    atomic.write_json(args.details, count(photos, item))
    progress.summary(f"resize {args.input}", photos=n_made, masked=int(photos["is_masked"].sum()))


if __name__ == "__main__":
    command.run(main)
