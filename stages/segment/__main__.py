"""Let one segmenter draw its soft map of every crop; the mask stage makes one mask of the maps of all."""

import argparse
from pathlib import Path

from stages.core import atomic, command, params, progress
from stages.core.archive import Archive
from stages.networks import runtime
from stages.networks.inference_cache import InferenceCache
from stages.schemas import crops
from stages.segment.segmentation import cache_key, digests, run_inference, write_maps
from stages.segment.settings import SegmenterParams, SegmentParams


def main() -> None:
    """Write the maps of one segmenter and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--segmenter", required=True, help="name of a section under `segmenters` of the parameters")
    for name in ("params", "boxes", "crops", "networks", "answers", "maps", "metrics"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    settings = params.read(arguments.params, "segment", SegmentParams)
    view = params.read(arguments.params, f"segmenters.{arguments.segmenter}", SegmenterParams)
    chosen = crops.read(arguments.boxes).query("status == 'ok'")["image_id"].tolist()
    pictures = Archive(arguments.crops)
    keys = digests(chosen, pictures)
    answers = InferenceCache(arguments.answers, cache_key(arguments.networks, view, settings))
    unknown = answers.missing(keys.values())
    new = {name: key for name, key in keys.items() if key in unknown}
    answers.keep(run_inference(new, pictures, arguments.networks, view, settings))
    counts = {"crops": len(chosen), "maps": write_maps(keys, answers, arguments.maps)}
    atomic.write_json(arguments.metrics, counts)
    verb = f"segment {arguments.segmenter}"
    progress.summary(verb, **counts, new_crops=len(new), engine=runtime.describe_engine(settings.runtime))


if __name__ == "__main__":
    command.run(main)
