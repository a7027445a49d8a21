"""Detect every object in photos without an annotated box, down to a low score.

Later rules select from these boxes, so changing a rule does not rerun inference.
"""

import argparse
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from stages.core import atomic, command, progress, tables
from stages.core.result_cache import ResultCache
from stages.core.runtime_settings import RuntimeSettings
from stages.core.settings import read as read_settings
from stages.detect import clustered
from stages.detect.detection import PhotoRow, cache_key, run_inference, to_table
from stages.detect.settings import DetectSettings
from stages.networks import cluster, runtime
from stages.networks.catalogue import DETECTORS
from stages.schemas import detection_failures, manifest
from stages.sources.photos import Photos, require_reachable
from stages.sources.settings import SourceSettings
from stages.sources.store import is_url


class _Detected(NamedTuple):
    """The table of detections, the reasons of photos that ended a worker, and the ids of those that gave nothing."""

    table: pd.DataFrame
    failures: dict[str, str]
    unread: set[str]
    n_new: int
    engine: str


def main() -> None:
    """Write data/detections.csv, the photos that failed, and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "manifest", "networks", "cache", "detections", "failures", "details"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    source = read_settings(arguments.params, "ingest", SourceSettings, subset=True)
    photos = manifest.read(arguments.manifest).query("status == 'ok'")
    without_box = photos[photos["x_min"].isna()]
    found = _detect(arguments, source, without_box)
    counts = _counts(found, without_box, n_annotated=len(photos) - len(without_box))
    tables.write(arguments.detections, found.table)
    tables.write(arguments.failures, detection_failures.table(found.failures))
    atomic.write_json(arguments.details, counts)
    # Without detections they would look like photos without a car.
    reasons = ["unreadable" if image_id in found.unread else "" for image_id in without_box["image_id"]]
    require_reachable(source, without_box["split"], reasons)
    progress.summary("detect", **counts, not_readable=len(found.unread), new_photos=found.n_new, engine=found.engine)


def _detect(arguments: argparse.Namespace, source: SourceSettings, photos: pd.DataFrame) -> _Detected:
    """The detections of photos, rows of the manifest, from the cache, into which those that are missing are put."""
    settings = read_settings(arguments.params, "detect", DetectSettings)
    engine = read_settings(arguments.params, "runtime", RuntimeSettings)
    failures: dict[str, str] = {}
    with cluster.connect_if_ray(settings.inference, engine) as workers:
        system = workers.kind if workers else runtime.describe_runtime(settings.inference)
        with ResultCache(arguments.cache, cache_key(arguments.networks, settings, system)) as cache:
            missing = cache.missing(photos["image_id"])
            rows = map(PhotoRow, photos["image_id"], photos["path"], photos["split"])
            new = [row for row in rows if row.image_id in missing]
            if workers:
                is_sent = not (engine.shares_photos or is_url(source.source))
                options = (arguments.networks, settings, is_sent, failures)
                cache.put_many(clustered.run_inference(workers, new, source, *options))
            else:
                cache.put_many(run_inference(new, Photos(source), arguments.networks, settings))
            unread = cache.missing(photos["image_id"])
            table = to_table(cache.get_many(photos["image_id"]), DETECTORS[settings.network].classes)
    return _Detected(table, failures, unread, len(new), runtime.shown(system, workers is not None))


def _counts(found: _Detected, photos: pd.DataFrame, n_annotated: int) -> dict[str, int]:
    """The counts of metrics, and of the closing line."""
    n_with_boxes = int(found.table["image_id"].nunique())
    counts = {"photos": len(photos), "with_boxes": n_with_boxes, "boxes": len(found.table)}
    if n_annotated:
        counts["annotated"] = n_annotated
    if found.failures:
        counts[cluster.WORKER_DIED] = len(found.failures)
    return counts


if __name__ == "__main__":
    command.run(main)
