"""Inspect every input file once: readable, duplicate, near-duplicate; split."""

import argparse
import sys
from functools import partial
from pathlib import Path

import pandas as pd

from stages.core import atomic, batches, command, progress, tables
from stages.core.settings import read as read_settings
from stages.ingest.inspection import inspect_unless_rejected
from stages.ingest.listing import list_files
from stages.ingest.manifest_rows import class_counts, complete, count, similar_labels
from stages.ingest.settings import IngestSettings
from stages.schemas import manifest


def main() -> None:
    """Inspect the files, assign groups and splits, write the manifest and the counts."""
    parser = argparse.ArgumentParser(prog="python -m stages ingest", description=__doc__)
    for name in ("params", "manifest", "classes", "metrics", "details", "class-counts"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    settings = read_settings(arguments.params, "ingest", IngestSettings)
    files = list_files(Path(settings.source))
    inspect = partial(inspect_unless_rejected, manifest.photo_root(Path(settings.source)))
    inspected = batches.ordered_thread_map(inspect, zip(files["path"], files["reason"]), ahead=32)
    infos = pd.DataFrame([info for _, info in progress.track(inspected, len(files), "photo", "ingest")])
    rows = complete(files[["path", "label"]].join(infos), settings)
    for names in similar_labels(rows["label"]):
        print(f"ingest: {names} are separate classes; if they are one class, use one name", file=sys.stderr)
    usable = rows[rows["status"] == "ok"]
    tables.write(arguments.manifest, rows)
    atomic.write_text(arguments.classes, "".join(f"{name}\n" for name in sorted(usable["label"].unique())))
    atomic.write_json(arguments.metrics, {"photos": len(usable)})
    atomic.write_json(arguments.details, count(rows))
    tables.write(arguments.class_counts, class_counts(rows))
    progress.summary("ingest", files=len(rows), usable=len(usable), unusable=len(rows) - len(usable))


if __name__ == "__main__":
    command.run(main)
