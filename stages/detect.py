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
        "network": digest_of([runtime.found(networks / DETECTORS[settings.network].file)]),
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


def ask(new: list[tuple[str, str]], root: Path, networks: Path, settings: DetectParams) -> Iterator[tuple[str, bytes]]:
    """Yield the packed objects of each (image id, path) that can be read; the network is loaded if there is one."""
    if new:
        spec = DETECTORS[settings.network]
        network = runtime.load(networks / spec.file, list(spec.outputs), settings.runtime)
        for image_id, found in detect_all(new, root, network, spec, settings):
            yield image_id, pack(found)


def tabulated(found: Iterator[tuple[str, bytes]], names: tuple[str, ...]) -> pd.DataFrame:
    """The packed objects of all photos as the rows of data/detections.csv."""
    rows = (to_rows(image_id, unpack(answer), names) for image_id, answer in found)
    # A table per photo would weigh more than what is in it.
    frames = [pd.concat(group) for group in batches.grouped(rows, 256)]
    return pd.concat(frames or [pd.DataFrame(columns=list(detections.COLUMNS))])[list(detections.COLUMNS)]


def main() -> None:
    """Write data/detections.csv and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "manifest", "source", "networks", "answers", "detections", "metrics"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    settings = params.read(arguments.params, "detect", DetectParams)
    photos = manifest.read(arguments.manifest).query("status == 'ok'")
    answers = Answers(arguments.answers, question(arguments.networks, settings))
    unknown = answers.missing(photos["image_id"])
    new = [pair for pair in zip(photos["image_id"], photos["path"]) if pair[0] in unknown]
    answers.keep(ask(new, manifest.photo_root(arguments.source), arguments.networks, settings))
    table = tabulated(answers.all_of(photos["image_id"]), DETECTORS[settings.network].classes)
    tables.write(arguments.detections, table)
    counts = {"photos": len(photos), "with_boxes": int(table["image_id"].nunique()), "boxes": len(table)}
    atomic.write_json(arguments.metrics, counts)
    progress.summary("detect", **counts, new_photos=len(new), engine=runtime.told(settings.runtime))


if __name__ == "__main__":
    command.run(main)
