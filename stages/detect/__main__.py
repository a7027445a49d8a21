"""Detect every object in photos without an annotated box, down to a low score.

Later rules select from these boxes, so changing a rule does not rerun inference.
"""

import argparse
from collections import Counter
from collections.abc import Iterator
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from stages.core import atomic, command, progress, tables
from stages.core.result_cache import Missing, ResultCache
from stages.core.runtime_settings import RuntimeSettings
from stages.core.settings import read as read_settings
from stages.detect import clustered
from stages.detect.detection import cache_key, photo_rows, run_inference, to_tables
from stages.detect.settings import DetectSettings
from stages.networks import cluster, runtime
from stages.networks.catalogue import DETECTORS
from stages.schemas import detection_failures, manifest
from stages.sources.photos import Photos, require_reachable
from stages.sources.settings import SourceSettings
from stages.sources.store import is_url

# Of the manifest, what tells where photos are and which of them have an annotated box.
_COLUMNS = ("image_id", "path", "status", "split", "x_min")


class _Detected(NamedTuple):
    """Counts of the table, the reasons of photos that ended a worker, and the ids of photos that gave nothing."""

    counts: Counter[str]
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
    photos = manifest.read(arguments.manifest, _COLUMNS).query("status == 'ok'")
    without_box = photos[photos["x_min"].isna()]
    found = _detect(arguments, source, without_box)
    counts = _counts(found, without_box, n_annotated=len(photos) - len(without_box))
    tables.write(arguments.failures, detection_failures.table(found.failures))
    atomic.write_json(arguments.details, counts)
    # Without detections they would look like photos without a car.
    reasons = ["unreadable" if image_id in found.unread else "" for image_id in without_box["image_id"]]
    require_reachable(source, without_box["split"], reasons)
    progress.summary("detect", **counts, not_readable=len(found.unread), new_photos=found.n_new, engine=found.engine)


def _detect(arguments: argparse.Namespace, source: SourceSettings, photos: pd.DataFrame) -> _Detected:
    """Write the detections of photos, rows of the manifest, from the cache, into which those missing there are put."""
    settings = read_settings(arguments.params, "detect", DetectSettings)
    engine = read_settings(arguments.params, "runtime", RuntimeSettings)
    failures: dict[str, str] = {}
    with cluster.connect_if_ray(settings.inference, engine) as workers:
        system = workers.kind if workers else runtime.describe_runtime(settings.inference)
        with ResultCache(arguments.cache, cache_key(arguments.networks, settings, system)) as cache:
            new = Missing(cache, partial(photo_rows, photos), attrgetter("image_id"))
            if workers:
                is_sent = not (engine.shares_photos or is_url(source.source))
                options = (arguments.networks, settings, is_sent, failures)
                cache.put_many(clustered.run_inference(workers, new, source, *options))
            else:
                cache.put_many(run_inference(new, Photos(source), arguments.networks, settings))
            unread = set(cache.missing(photos["image_id"]))
            counts: Counter[str] = Counter()
            parts = to_tables(cache.get_many(photos["image_id"]), DETECTORS[settings.network].classes)
            tables.write_parts(arguments.detections, _counted(parts, counts))
    return _Detected(counts, failures, unread, len(new), runtime.shown(system, workers is not None))


def _counted(parts: Iterator[pd.DataFrame], counts: Counter[str]) -> Iterator[pd.DataFrame]:
    """The parts of the table, none of which has only some boxes of a photo; their photos and boxes are counted."""
    for part in parts:
        counts.update(with_boxes=part["image_id"].nunique(), boxes=len(part))
        yield part


def _counts(found: _Detected, photos: pd.DataFrame, n_annotated: int) -> dict[str, int]:
    """The counts of metrics, and of the closing line."""
    counts = {"photos": len(photos), "with_boxes": found.counts["with_boxes"], "boxes": found.counts["boxes"]}
    if n_annotated:
        counts["annotated"] = n_annotated
    if found.failures:
        counts[cluster.WORKER_DIED] = len(found.failures)
    return counts


if __name__ == "__main__":
    command.run(main)
