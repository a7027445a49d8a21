"""Run one segmenter on every crop; `mask` combines the maps of all."""

import argparse
import sys
from functools import partial
from pathlib import Path

from stages.core import atomic, command, progress
from stages.core.archive import Archive
from stages.core.result_cache import ResultCache
from stages.core.runtime_settings import RuntimeSettings
from stages.core.settings import read as read_settings
from stages.core.shard_writer import ShardFolder
from stages.images.settings import any_uses_masks
from stages.networks import cluster, runtime
from stages.schemas import crops, shards
from stages.segment import clustered
from stages.segment.segmentation import CachedMaps, cache_key, run_inference, write_maps
from stages.segment.settings import SegmenterSettings, SegmentSettings


def main() -> None:
    """Write the maps of one segmenter and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segmenter", required=True, help="name of a section under `segmenters` of the parameters")
    for name in ("params", "boxes", "shards", "crops", "networks", "cache", "maps", "memory", "details"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    settings = read_settings(arguments.params, "segment", SegmentSettings)
    view = read_settings(arguments.params, f"segmenters.{arguments.segmenter}", SegmenterSettings)
    chosen = crops.read(arguments.boxes, ("image_id", "status")).query("status == 'ok'")["image_id"]
    if not any_uses_masks(arguments.params):
        print("segment: the background of every model's input is keep: no segmenter runs", file=sys.stderr)
        chosen = chosen.iloc[:0]
    crop_archive = Archive(arguments.crops)
    archive = ShardFolder(arguments.maps, arguments.memory)
    engine = read_settings(arguments.params, "runtime", RuntimeSettings)
    with cluster.connect_if_ray(settings.inference, engine) as workers:
        system = workers.kind if workers else runtime.describe_runtime(settings.inference)
        key = cache_key(arguments.networks, view, settings, system)
        with ResultCache(arguments.cache, key) as cache:
            run = partial(clustered.run_inference, workers) if workers else run_inference
            options = {"crop_archive": crop_archive, "networks": arguments.networks, "view": view, "settings": settings}
            maps = CachedMaps(crop_archive, cache, partial(run, **options))
            n_maps = write_maps(archive, chosen, shards.read(arguments.shards), crop_archive, key, maps)
    counts = {"crops": len(chosen), "maps": n_maps}
    atomic.write_json(arguments.details, counts)
    verb = f"segment {arguments.segmenter}"
    progress.summary(verb, **counts, new_crops=maps.n_new, engine=runtime.shown(system, workers is not None))


if __name__ == "__main__":
    command.run(main)
