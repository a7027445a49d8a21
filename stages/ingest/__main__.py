"""Inspect every file once: readable, duplicate, near-duplicate; split."""

import argparse
import sys
from pathlib import Path

import pandas as pd

from stages.core import atomic, command, memory, progress, tables
from stages.core.result_cache import ResultCache
from stages.core.settings import read as read_settings
from stages.ingest import manifest_rows
from stages.ingest.inspection import cache_key, inspect
from stages.ingest.settings import IngestSettings
from stages.ingest.sharding import write_shards
from stages.schemas import corrections, files
from stages.schemas.manifest import UNLABELLED
from stages.sources.photos import Photos, require_reachable


def _inspected(arguments: argparse.Namespace, settings: IngestSettings) -> pd.DataFrame:
    """The rows of data/files.csv with what is known of each file."""
    with ResultCache(arguments.cache, cache_key()) as cache:
        inspected = inspect(files.read(arguments.files), Photos(settings), cache)
    # What photos took, and the rows while they were Python values.
    memory.release()
    return inspected


def main() -> None:
    """Inspect the files, assign groups and splits, write the manifest and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "files", "corrections", "cache", "manifest", "shards", "classes"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("metrics", "details", "class-counts", "leaks"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    settings = read_settings(arguments.params, "ingest", IngestSettings)
    decisions = corrections.read(arguments.corrections)
    made = manifest_rows.complete(_inspected(arguments, settings), settings, decisions)
    labels = made.rows.loc[(made.rows["status"] == "ok") & (made.rows["split"] != UNLABELLED), "label"]
    # Before the manifest, which it takes for that of the last run.
    write_shards(arguments.shards, arguments.manifest, made.rows)
    tables.write(arguments.manifest, made.rows)
    tables.write(arguments.leaks, made.leaks[["group", "split", "path", "label"]])
    # After the tables: the errors point to them.
    require_reachable(settings, made.rows["split"], made.rows["reason"])
    for warning in manifest_rows.check(made, settings):
        print(f"ingest: {warning}", file=sys.stderr)
    atomic.write_text(arguments.classes, "".join(f"{name}\n" for name in sorted(labels.unique())))
    leaks = {"leaks": len(made.leaks)} if len(made.leaks) else {}
    atomic.write_json(arguments.metrics, {"photos": len(labels), **leaks})
    atomic.write_json(arguments.details, manifest_rows.count(made))
    tables.write(arguments.class_counts, manifest_rows.class_counts(made.rows))
    progress.summary(
        "ingest", files=len(made.rows), usable=len(labels), unusable=int((made.rows["status"] != "ok").sum())
    )


if __name__ == "__main__":
    command.run(main)
