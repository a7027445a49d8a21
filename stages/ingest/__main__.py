"""Inspect every file once: readable, duplicate, near-duplicate; split."""

import argparse
import sys
from functools import partial
from pathlib import Path

import pandas as pd

from stages.core import atomic, batches, command, progress, tables
from stages.core.settings import read as read_settings
from stages.ingest import manifest_rows
from stages.ingest.inspection import FileInfo, inspect_row
from stages.ingest.settings import IngestSettings
from stages.schemas import files
from stages.schemas.manifest import UNLABELLED
from stages.sources.photos import Photos, require_reachable


def inspect(listed: pd.DataFrame, photos: Photos) -> pd.DataFrame:
    """Add the columns of FileInfo to the rows of data/files.csv; each file is decoded once."""
    to_read = listed[listed["reason"] == ""].drop_duplicates(["split", "path"])
    keys = list(zip(to_read["path"], to_read["split"], to_read["version"]))
    made = batches.ordered_thread_map(partial(inspect_row, photos), keys, ahead=32, threads=photos.threads)
    infos = {key[:2]: info for key, info in progress.track(made, len(keys), "photo", "ingest")}
    rejected = [FileInfo("", reason) for reason in listed["reason"]]
    rows = zip(listed["path"], listed["split"], rejected)
    found = pd.DataFrame([infos.get((path, split), own) if not own.reason else own for path, split, own in rows])
    return listed.drop(columns=["reason", "version"]).join(found)


def main() -> None:
    """Inspect the files, assign groups and splits, write the manifest and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "files", "manifest", "classes", "metrics", "details", "class-counts", "leaks"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    settings = read_settings(arguments.params, "ingest", IngestSettings)
    made = manifest_rows.complete(inspect(files.read(arguments.files), Photos(settings)), settings)
    usable = made.rows[(made.rows["status"] == "ok") & (made.rows["split"] != UNLABELLED)]
    tables.write(arguments.manifest, made.rows)
    tables.write(arguments.leaks, made.leaks[["group", "split", "path", "label"]])
    # After the tables: the errors point to them.
    require_reachable(settings.source, made.rows["reason"].tolist())
    for warning in manifest_rows.check(made, settings):
        print(f"ingest: {warning}", file=sys.stderr)
    atomic.write_text(arguments.classes, "".join(f"{name}\n" for name in sorted(usable["label"].unique())))
    leaks = {"leaks": len(made.leaks)} if len(made.leaks) else {}
    atomic.write_json(arguments.metrics, {"photos": len(usable), **leaks})
    atomic.write_json(arguments.details, manifest_rows.count(made))
    tables.write(arguments.class_counts, manifest_rows.class_counts(made.rows))
    progress.summary(
        "ingest", files=len(made.rows), usable=len(usable), unusable=int((made.rows["status"] != "ok").sum())
    )


if __name__ == "__main__":
    command.run(main)
