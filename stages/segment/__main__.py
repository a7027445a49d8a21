"""Run one segmenter on every crop; `mask` combines the maps of all."""

import argparse
from pathlib import Path

from stages.core import atomic, command, progress
from stages.core.archive import Archive
from stages.core.runtime_settings import RuntimeSettings
from stages.core.settings import read as read_settings
from stages.networks import cluster, runtime
from stages.networks.inference_cache import InferenceCache
from stages.schemas import crops
from stages.segment import clustered
from stages.segment.segmentation import cache_key, digests, run_inference, write_maps
from stages.segment.settings import SegmenterSettings, SegmentSettings


def main() -> None:
    """Write the maps of one segmenter and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segmenter", required=True, help="name of a section under `segmenters` of the parameters")
    for name in ("params", "boxes", "crops", "networks", "cache", "maps", "details"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    settings = read_settings(arguments.params, "segment", SegmentSettings)
    view = read_settings(arguments.params, f"segmenters.{arguments.segmenter}", SegmenterSettings)
    chosen = crops.read(arguments.boxes).query("status == 'ok'")["image_id"].tolist()
    crop_archive = Archive(arguments.crops)
    keys = digests(chosen, crop_archive)
    engine = read_settings(arguments.params, "runtime", RuntimeSettings)
    with cluster.connect_if_ray(settings.inference, engine) as workers:
        system = workers.kind if workers else runtime.describe_runtime(settings.inference)
        with InferenceCache(arguments.cache, cache_key(arguments.networks, view, settings, system)) as cache:
            missing = cache.missing(keys.values())
            new = {image_id: key for image_id, key in keys.items() if key in missing}
            options = (crop_archive, arguments.networks, view, settings)
            outputs = clustered.run_inference(workers, new, *options) if workers else run_inference(new, *options)
            cache.put_many(outputs)
            counts = {"crops": len(chosen), "maps": write_maps(keys, cache, arguments.maps)}
    atomic.write_json(arguments.details, counts)
    verb = f"segment {arguments.segmenter}"
    progress.summary(verb, **counts, new_crops=len(new), engine=runtime.shown(system, workers is not None))


if __name__ == "__main__":
    command.run(main)
