"""List every file of the source with its label, its given split and a hash.

The stage runs in every `dvc repro`: DVC cannot watch buckets, archives, links or the photos that a table names. What
follows runs only if data/files.csv changed.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from stages.core import atomic, command, progress
from stages.core.settings import read as read_settings
from stages.scan import dvc_outputs, last_run
from stages.scan.last_run import ScanResult
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
    memory = arguments.cache.with_name(f"{arguments.cache.name}.last")
    key = last_run.key_of(settings)
    result = last_run.recall(memory, key)
    if result is None:
        counted = _scan(settings, arguments.cache, arguments.files)
        result = ScanResult(arguments.files.read_bytes(), *counted)
        # A file that could not be read may be readable at the next run.
        last_run.remember(memory, "" if "unreadable" in result.details["reason"] else key, result)
    else:
        atomic.write_bytes(arguments.files, result.table)
    for remark in result.remarks:
        print(f"scan: {remark}", file=sys.stderr)
    atomic.write_json(arguments.details, result.details)
    progress.summary("scan", files=result.n_files, not_used=result.n_not_used)


def _scan(settings: SourceSettings, hash_cache: Path, table: Path) -> tuple[dict[str, Any], list[str], int, int]:
    """List the source and write the table; the other fields of its `ScanResult`."""
    # Imported here: pandas and the readers of layouts take as long as listing 100,000 files, and most runs need none.
    from stages.core import tables
    from stages.scan import scanning

    scanned = scanning.scan(settings, hash_cache)
    remarks = [f"layout {scanned.layout}", *scanned.remarks]
    for names in scanning.similar_labels(scanned.rows["label"]):
        remarks.append(f"{names} are separate classes; if they are one class, use ingest.class_map")
    tables.write(table, scanned.rows)
    details: dict[str, Any] = {"layout": scanned.layout, **scanning.count(scanned.rows)}
    return details, remarks, len(scanned.rows), sum(details["reason"].values())


if __name__ == "__main__":
    command.run(main)
