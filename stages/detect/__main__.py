"""Detect every object in every usable photo, down to a low score.

Later rules select from these boxes, so changing a rule does not rerun inference.
"""

import argparse
from pathlib import Path

from stages.core import atomic, command, progress, tables
from stages.core.settings import read as read_settings
from stages.detect.detection import cache_key, run_inference, to_table
from stages.detect.settings import DetectSettings
from stages.networks import runtime
from stages.networks.catalogue import DETECTORS
from stages.networks.inference_cache import InferenceCache
from stages.schemas import manifest


def main() -> None:
    """Write data/detections.csv and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "manifest", "source", "networks", "cache", "detections", "details"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    settings = read_settings(arguments.params, "detect", DetectSettings)
    photos = manifest.read(arguments.manifest).query("status == 'ok'")
    with InferenceCache(arguments.cache, cache_key(arguments.networks, settings)) as cache:
        missing = cache.missing(photos["image_id"])
        new = [pair for pair in zip(photos["image_id"], photos["path"]) if pair[0] in missing]
        cache.put_many(run_inference(new, manifest.photo_root(arguments.source), arguments.networks, settings))
        table = to_table(cache.get_many(photos["image_id"]), DETECTORS[settings.network].classes)
    tables.write(arguments.detections, table)
    counts = {"photos": len(photos), "with_boxes": int(table["image_id"].nunique()), "boxes": len(table)}
    atomic.write_json(arguments.details, counts)
    progress.summary("detect", **counts, new_photos=len(new), engine=runtime.describe_engine(settings.inference))


if __name__ == "__main__":
    command.run(main)
