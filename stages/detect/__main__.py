"""Detect every object in photos without an annotated box, down to a low score.

Later rules select from these boxes, so changing a rule does not rerun inference.
"""

import argparse
from pathlib import Path

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


def main() -> None:
    """Write data/detections.csv, the photos that failed, and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "manifest", "networks", "cache", "detections", "failures", "details"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    settings = read_settings(arguments.params, "detect", DetectSettings)
    photos = manifest.read(arguments.manifest).query("status == 'ok'")
    without_box = photos[photos["x_min"].isna()]
    source = read_settings(arguments.params, "ingest", SourceSettings, subset=True)
    engine = read_settings(arguments.params, "runtime", RuntimeSettings)
    failures: dict[str, str] = {}
    with cluster.connect_if_ray(settings.inference, engine) as workers:
        system = workers.kind if workers else runtime.describe_runtime(settings.inference)
        with ResultCache(arguments.cache, cache_key(arguments.networks, settings, system)) as cache:
            missing = cache.missing(without_box["image_id"])
            rows = map(PhotoRow, without_box["image_id"], without_box["path"], without_box["split"])
            new = [row for row in rows if row.image_id in missing]
            if workers:
                is_sent = not (engine.shares_photos or is_url(source.source))
                options = (arguments.networks, settings, is_sent, failures)
                cache.put_many(clustered.run_inference(workers, new, source, *options))
            else:
                cache.put_many(run_inference(new, Photos(source), arguments.networks, settings))
            unread = cache.missing(without_box["image_id"])
            table = to_table(cache.get_many(without_box["image_id"]), DETECTORS[settings.network].classes)
    tables.write(arguments.detections, table)
    tables.write(arguments.failures, detection_failures.table(failures))
    counts = {"photos": len(without_box), "with_boxes": int(table["image_id"].nunique()), "boxes": len(table)}
    if len(without_box) < len(photos):
        counts["annotated"] = len(photos) - len(without_box)
    if failures:
        counts[cluster.WORKER_DIED] = len(failures)
    atomic.write_json(arguments.details, counts)
    # Without detections they would look like photos without a car.
    reasons = ["unreadable" if image_id in unread else "" for image_id in without_box["image_id"]]
    require_reachable(source, without_box["split"], reasons)
    progress.summary(
        "detect",
        **counts,
        not_readable=len(unread),
        new_photos=len(new),
        engine=runtime.shown(system, workers is not None),
    )


if __name__ == "__main__":
    command.run(main)
