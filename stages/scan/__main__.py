"""List every file of the source with its label, its given split and a hash.

The stage runs in every `dvc repro`: DVC cannot watch buckets, archives, links or the photos that a table names. What
follows runs only if data/files.csv changed.
"""

import argparse
import sys
from pathlib import Path

from stages.core import atomic, command, progress, tables
from stages.core.settings import read as read_settings
from stages.scan import dvc_outputs, scanning
from stages.sources.settings import SourceSettings


def main() -> None:
    """Write data/files.csv and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "files", "cache", "details"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    settings = read_settings(arguments.params, "ingest", SourceSettings, subset=True)
    for source in filter(None, (settings.source, settings.root, settings.unlabelled)):
        dvc_outputs.reproduce(source)
    scanned = scanning.scan(settings, arguments.cache)
    print(f"scan: layout {scanned.layout}", file=sys.stderr)
    for remark in scanned.remarks:
        print(f"scan: {remark}", file=sys.stderr)
    for names in scanning.similar_labels(scanned.rows["label"]):
        print(f"scan: {names} are separate classes; if they are one class, use ingest.class_map", file=sys.stderr)
    tables.write(arguments.files, scanned.rows)
    atomic.write_json(arguments.details, {"layout": scanned.layout, **scanning.count(scanned.rows)})
    not_used = int((scanned.rows["reason"] != "").sum())
    progress.summary("scan", files=len(scanned.rows), not_used=not_used)


if __name__ == "__main__":
    command.run(main)
