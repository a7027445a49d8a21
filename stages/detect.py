"""Find every object in every usable photo, down to a low score, so that no later rule needs the network again."""

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from stages.imaging import batches, images, runtime
from stages.imaging.boxes import COLUMNS as CORNERS
from stages.imaging.centernet import Detections
from stages.imaging.detection import DetectParams, detect, prepare, rounded
from stages.imaging.networks import DETECTORS, Detector
from stages.imaging.runtime import Network
from stages.records import atomic, command, detections, manifest, params, progress, tables
from stages.records.answers import Answers, digest_of


class Prepared(NamedTuple):
    """One photo ready for the network: its padded picture and its own size; None where it cannot be read."""

    picture: np.ndarray | None
    size_wh: tuple[int, int]


def read_prepared(root: Path, spec: Detector, row: tuple[str, str]) -> Prepared:
    """Decode the photo of a manifest row (image id, path) and bring it into the network's square."""
    image_id, path = row
    try:
        return Prepared(*prepare(images.load(root / path, image_id), spec))
    except images.ImageError:
        return Prepared(None, (0, 0))


def detect_all(
    rows: list[tuple[str, str]], root: Path, network: Network, spec: Detector, settings: DetectParams
) -> Iterator[tuple[str, Detections]]:
    """Yield the image id and the objects of each (image id, path) that can be read, in order."""
    batch_size = settings.runtime.batch_size
    ready = batches.mapped(partial(read_prepared, root, spec), rows, ahead=2 * batch_size)
    tracked = progress.track(ready, len(rows), "photo", "detect")
    for group in batches.grouped(tracked, batch_size):
        kept = [(image_id, photo.picture, photo.size_wh) for (image_id, _), photo in group if photo.picture is not None]
        if kept:
            image_ids, pictures, sizes = zip(*kept)
            yield from zip(image_ids, detect(np.stack(pictures), list(sizes), network, spec, settings))


def question(networks: Path, settings: DetectParams) -> dict[str, object]:
    """What the boxes of a photo depend on beside the photo: the network, its settings, code, machine."""
    return {
        "network": digest_of([networks / DETECTORS[settings.network].file]),
        "settings": asdict(settings),
        "code": digest_of([*sorted(Path(images.__file__).parent.glob("*.py")), Path(__file__)]),
        "system": runtime.identity(settings.runtime),
    }


def pack(found: Detections) -> bytes:
    """The objects of one photo as bytes: rows of four corners, score and class number, float32."""
    return np.column_stack([found.boxes, found.scores, found.classes]).astype(np.float32).tobytes()


def unpack(answer: bytes) -> Detections:
    """The objects of one photo as `pack` was given them."""
    rows = np.frombuffer(answer, np.float32).reshape(-1, 6)
    return Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(np.int64))


def to_rows(image_id: str, found: Detections, names: tuple[str, ...]) -> pd.DataFrame:
    """The detections of one photo as rows of data/detections.csv."""
    corners, scores = rounded(found)
    frame = pd.DataFrame(corners, columns=CORNERS)
    frame.insert(0, "image_id", image_id)
    frame.insert(1, "class_name", [names[number] for number in found.classes.tolist()])
    frame.insert(2, "score", scores)
    return frame


def main() -> None:
    """Write data/detections.csv and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "manifest", "networks", "answers", "detections", "metrics"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--source", type=Path, required=True)
    arguments = parser.parse_args()
    settings = params.read(arguments.params, "detect", DetectParams)
    spec = DETECTORS[settings.network]
    network = runtime.load(arguments.networks / spec.file, list(spec.outputs), settings.runtime)
    photos = manifest.read(arguments.manifest).query("status == 'ok'")
    pairs = list(zip(photos["image_id"], photos["path"]))
    answers = Answers(arguments.answers, question(arguments.networks, settings))
    unknown = answers.missing(photos["image_id"])
    new = [pair for pair in pairs if pair[0] in unknown]
    asked = detect_all(new, manifest.photo_root(arguments.source), network, spec, settings)
    answers.keep((image_id, pack(boxes)) for image_id, boxes in asked)
    found = (to_rows(i, unpack(answer), spec.classes) for i, answer in answers.all_of(photos["image_id"]))
    # A table per photo would weigh more than what is in it.
    frames = [pd.concat(group) for group in batches.grouped(found, 256)]
    table = pd.concat(frames or [pd.DataFrame(columns=list(detections.COLUMNS))])[list(detections.COLUMNS)]
    tables.write(arguments.detections, table)
    with_boxes = int(table["image_id"].nunique())
    atomic.write_json(arguments.metrics, {"photos": len(photos), "with_boxes": with_boxes, "boxes": len(table)})
    progress.summary(
        "detect",
        photos=len(photos),
        new=len(new),
        with_boxes=with_boxes,
        boxes=len(table),
        engine=runtime.told(settings.runtime),
    )


if __name__ == "__main__":
    command.run(main)
