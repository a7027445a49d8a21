"""Let one segmenter draw its soft map of every crop; the mask stage makes one mask of the maps of all."""

import argparse
import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages.imaging import batches, images, runtime, segmentation
from stages.imaging.runtime import Network
from stages.imaging.segmentation import SegmenterParams, SegmentParams
from stages.records import archive, atomic, command, crops, masks, params, progress
from stages.records.answers import Answers, digest_of
from stages.records.archive import Archive


class Prepared(NamedTuple):
    """One crop ready for the network; None where it cannot be read."""

    image_id: str
    picture: np.ndarray | None


def read_prepared(pictures: Archive, view: SegmenterParams, image_id: str) -> Prepared:
    """Decode the crop of one photo and prepare it for the network."""
    try:
        crop = images.stored_picture(pictures, crops.picture_of(image_id))
        return Prepared(image_id, segmentation.prepare(crop, view))
    except images.ImageError:
        return Prepared(image_id, None)


def segment_all(
    image_ids: list[str], pictures: Archive, network: Network, view: SegmenterParams, batch_size: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the image id and the map `(side, side)` uint8 of every crop that can be read, in order."""
    prepared = batches.mapped(partial(read_prepared, pictures, view), image_ids, ahead=2 * batch_size)
    tracked = progress.track(prepared, len(image_ids), "crop", "segment")
    for group in batches.grouped((crop for _, crop in tracked), batch_size):
        kept = [(crop.image_id, crop.picture) for crop in group if crop.picture is not None]
        if kept:
            names, ready = zip(*kept)
            yield from zip(names, segmentation.segment(np.stack(ready), network, view))


def load(networks: Path, view: SegmenterParams, settings: SegmentParams) -> Network:
    """The network of a segmenter, ready to run."""
    return runtime.load(networks / view.spec.file, [view.spec.output], settings.runtime, view.input_px)


def question(networks: Path, view: SegmenterParams, settings: SegmentParams) -> dict[str, object]:
    """What the map of a crop depends on beside the crop: the network, how it is shown and run, code, machine."""
    return {
        "network": digest_of([runtime.found(networks / view.spec.file)]),
        "settings": [asdict(view), asdict(settings)],
        "code": digest_of([*sorted(Path(images.__file__).parent.glob("*.py")), Path(__file__)]),
        "system": runtime.identity(settings.runtime),
    }


def digests(image_ids: list[str], pictures: Archive) -> dict[str, str]:
    """The SHA-256 of the crop of each photo that has one, by image id: the rule decides what of a photo is cropped."""

    def digest(image_id: str) -> str:
        try:
            return hashlib.sha256(images.stored(pictures, crops.picture_of(image_id))).hexdigest()
        except images.ImageError:
            return ""

    found = batches.mapped(digest, image_ids, ahead=32)
    return {image_id: key for image_id, key in found if key}


def ask(
    new: dict[str, str], pictures: Archive, networks: Path, view: SegmenterParams, settings: SegmentParams
) -> Iterator[tuple[str, bytes]]:
    """Yield crop digest and encoded map of each crop, given as digests by image id, that can be read."""
    if new:
        network = load(networks, view, settings)
        for name, plane in segment_all(list(new), pictures, network, view, settings.runtime.batch_size):
            yield new[name], images.encode(plane, ".png")


def write_maps(keys: dict[str, str], answers: Answers, path: Path) -> int:
    """Write the map of every photo whose crop has one, from the crops' digests by image id; how many there are."""
    count = 0
    with archive.writing(path) as add:
        for image_id, key in keys.items():
            for _, content in answers.all_of([key]):
                add(masks.picture_of(image_id), content)
                count += 1
    return count


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
    answers = Answers(arguments.answers, question(arguments.networks, view, settings))
    unknown = answers.missing(keys.values())
    new = {name: key for name, key in keys.items() if key in unknown}
    answers.keep(ask(new, pictures, arguments.networks, view, settings))
    counts = {"crops": len(chosen), "maps": write_maps(keys, answers, arguments.maps)}
    atomic.write_json(arguments.metrics, counts)
    verb = f"segment {arguments.segmenter}"
    progress.summary(verb, **counts, new_crops=len(new), engine=runtime.told(settings.runtime))


if __name__ == "__main__":
    command.run(main)
