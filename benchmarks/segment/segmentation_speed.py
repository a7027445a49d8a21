"""Seconds from the file of a crop to its map: this pipeline and plain ONNX Runtime."""

import argparse
from collections.abc import Callable
from pathlib import Path

from benchmarks import timing
from stages.core import cores
from stages.core.archive import Archive
from stages.core.settings import read as read_settings
from stages.images import images
from stages.networks import runtime
from stages.networks.settings import InferenceSettings
from stages.segment import segmenter
from stages.segment.segmentation import load_network, segment_all
from stages.segment.settings import SegmenterSettings, SegmentSettings


def pipeline(
    names: list[str], crops: Archive, networks: Path, view: SegmenterSettings, settings: SegmentSettings
) -> Callable[[], object]:
    """The loop of the segment stage over crops, in the engine of the settings."""
    network = load_network(view, settings, networks / view.spec.file)
    image_ids = [Path(name).stem for name in names]
    return lambda: list(segment_all(image_ids, crops, network, view, settings.inference.batch_size))


def one_by_one(names: list[str], crops: Archive, networks: Path, view: SegmenterSettings) -> Callable[[], object]:
    """The same network in ONNX Runtime with default options, one crop after the other."""
    plain = InferenceSettings(batch_size=1, engine="onnxruntime", precision="f32")
    network = load_network(view, SegmentSettings(inference=plain), networks / view.spec.file)

    def work() -> None:
        for name in names:
            crop = images.decode(crops.read(name))
            segmenter.segment(segmenter.prepare(crop, view)[None], network, view)

    return work


def main() -> None:
    """Print the table of seconds per crop."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--crops", type=Path, default=Path("data/crops"))
    parser.add_argument("--networks", type=Path, default=Path("models/pretrained"))
    parser.add_argument("--network", default="u2netp")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--limit", type=int, default=32, help="crops in each round")
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    settings = read_settings(arguments.params, "segment", SegmentSettings)
    crops = Archive(arguments.crops)
    names = crops.names[: arguments.limit]
    if not names:
        raise ValueError(f"{arguments.crops}: expected crops, found none; run `dvc repro crop`")
    view = SegmenterSettings(network=arguments.network)
    contenders = {
        "ONNX Runtime, batch 1": timing.stopwatch(one_by_one(names, crops, arguments.networks, view)),
        "pipeline": timing.stopwatch(pipeline(names, crops, arguments.networks, view, settings)),
    }
    seconds = timing.interleaved(contenders, arguments.rounds)
    precision = runtime.resolve_precision(settings.inference.precision)
    title = f"{len(names)} crops, {len(seconds)} rounds, {cores.available()} cores, OpenVINO {precision}; s per crop"
    timing.show(timing.compare(seconds, len(names), "ONNX Runtime, batch 1"), title)


if __name__ == "__main__":
    main()
