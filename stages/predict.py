"""Name the class of new photos with the trained ensemble, through the same functions as the pipeline's stages."""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from stages import resize, segment
from stages.imaging import batches, detection, images, masks, runtime, segmentation, selection
from stages.imaging.detection import DetectParams
from stages.imaging.masks import MaskParams
from stages.imaging.networks import DETECTORS
from stages.imaging.segmentation import SegmenterParams, SegmentParams
from stages.imaging.selection import Candidates, CropParams
from stages.ingest import list_files
from stages.learning import blend, inference, photos, tta
from stages.learning.tta import TtaParams
from stages.records import manifest, params, progress, tables
from stages.resize import ResizeParams

# Pictures (N, side, side, 3) uint8 RGB to probabilities (N, C).
Classify = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Settings:
    """The sections of params.yaml that decide what happens to a photo before a model sees it."""

    detect: DetectParams
    crop: CropParams
    segment: SegmentParams
    segmenters: dict[str, SegmenterParams]
    mask: MaskParams
    resize: ResizeParams

    @classmethod
    def read(cls, path: Path) -> "Settings":
        """Read the sections, and of the segmenters those that have a weight."""
        mask = params.read(path, "mask", MaskParams)
        return cls(
            detect=params.read(path, "detect", DetectParams),
            crop=params.read(path, "crop", CropParams),
            segment=params.read(path, "segment", SegmentParams),
            segmenters={n: params.read(path, f"segmenters.{n}", SegmenterParams) for n, w in mask.weights.items() if w},
            mask=mask,
            resize=params.read(path, "resize", ResizeParams),
        )


class Loaded(NamedTuple):
    """A photo's bytes, and what the detector is shown of it; `error` says why there is neither."""

    content: bytes
    picture: np.ndarray | None
    size_wh: tuple[int, int]
    error: str = ""


class Prepared(NamedTuple):
    """What the models see, `(side_px, side_px, 3)` uint8 RGB, or None; `note` says why the car was not cut out."""

    picture: np.ndarray | None
    note: str


class Preparation:
    """The picture half: from the files of photos to what the models were trained on."""

    def __init__(self, settings: Settings, networks: Path) -> None:
        self.settings = settings
        self.detector = DETECTORS[settings.detect.network]
        outputs = list(self.detector.outputs)
        self.detect = runtime.load(networks / self.detector.file, outputs, settings.detect.runtime)
        self.segment = {
            name: segment.load(networks, view, settings.segment) for name, view in settings.segmenters.items()
        }

    def all(self, paths: list[Path]) -> Iterator[tuple[Path, Prepared]]:
        """Yield every path with its picture, in order; files are decoded ahead, networks work on batches.

        What becomes of a photo does not depend on the others.
        """
        size = self.settings.detect.runtime.batch_size
        ready = batches.mapped(self._load, paths, ahead=2 * size)
        for group in batches.grouped(ready, size):
            yield from zip([path for path, _ in group], self._prepare([loaded for _, loaded in group]))

    def _load(self, path: Path) -> Loaded:
        try:
            content = images.load(path)
            return Loaded(content, *detection.prepare(content, self.detector))
        except images.ImageError as error:
            return Loaded(b"", None, (0, 0), str(error))

    def _prepare(self, group: list[Loaded]) -> list[Prepared]:
        good = [loaded for loaded in group if loaded.picture is not None]
        chosen = iter(self._choose(good))
        pieces = [(loaded, *next(chosen)) if loaded.picture is not None else (loaded, None, "") for loaded in group]
        cut = [crop for _, crop in batches.mapped(self._cut, pieces, ahead=len(pieces))]
        drawn = iter(self._draw([crop for crop, _ in cut if crop is not None]))
        return [
            self._finish(crop, note, next(drawn)) if crop is not None else Prepared(None, note) for crop, note in cut
        ]

    def _choose(self, group: list[Loaded]) -> list[tuple[np.ndarray | None, str]]:
        """The main car's box `(4,)` in pixels of each photo, or None and the reason."""
        if self.settings.crop.region == "photo" or not group:
            return [(None, "")] * len(group)
        sizes = [loaded.size_wh for loaded in group]
        pictures = np.stack([picture for loaded in group if (picture := loaded.picture) is not None])
        found = detection.detect(pictures, sizes, self.detect, self.detector, self.settings.detect)
        return [self._choose_one(*one) for one in zip(found, sizes)]

    def _choose_one(
        self, found: detection.centernet.Detections, size_wh: tuple[int, int]
    ) -> tuple[np.ndarray | None, str]:
        corners, scores = detection.rounded(found)
        names = np.array([self.detector.classes[number] for number in found.classes.tolist()])
        choice = selection.choose(Candidates(corners, scores, names), size_wh, self.settings.crop)
        return (None if choice.index is None else corners[choice.index]), choice.reason

    def _cut(self, piece: tuple[Loaded, np.ndarray | None, str]) -> tuple[np.ndarray | None, str]:
        """The crop `(H, W, 3)` uint8 RGB and the note so far; None for a photo that cannot be read."""
        loaded, box, note = piece
        if loaded.error:
            return None, loaded.error
        try:
            cut = selection.cut(loaded.content, box, self.settings.crop)
        except images.ImageError as error:
            return None, str(error)
        # The crop stage writes JPEG files and the later ones read them: the models know pictures that went that way.
        return images.decode(images.encode(cut, ".jpg")), note

    def _draw(self, crops: list[np.ndarray]) -> list[masks.Mask]:
        """The masks of crops `(H, W, 3)` uint8 RGB."""
        if not crops:
            return []
        maps = {}
        for name, view in self.settings.segmenters.items():
            inputs = np.stack([segmentation.prepare(crop, view) for crop in crops])
            maps[name] = segmentation.segment(inputs, self.segment[name], view)
        return [
            masks.combine({n: drawn[place] for n, drawn in maps.items()}, crop.shape[1::-1], self.settings.mask)
            for place, crop in enumerate(crops)
        ]

    def _finish(self, crop: np.ndarray, note: str, mask: masks.Mask) -> Prepared:
        picture = resize.treat(crop, None if mask.reason else mask.alpha, self.settings.resize)
        return Prepared(picture, ", ".join(part for part in (note, mask.reason) if part))


def load_ensemble(path: Path, models: Path, classes: list[str], rule: TtaParams) -> Classify:
    """The trained ensemble as a function of `(N, H, W, 3)` uint8 pictures that gives `(N, C)` probabilities."""
    weights, temperature = blend.read(path, classes)
    used = {name: weight for name, weight in weights.items() if weight > 0}
    mix = blend.Mix(np.array(list(used.values())), temperature)
    loaded = [inference.load(models / name / "model.keras", len(classes)) for name in used]

    def classify(pictures: np.ndarray) -> np.ndarray:
        return mix(np.stack([look(model, pictures) for model in loaded]))

    def look(model: inference.keras.Model, pictures: np.ndarray) -> np.ndarray:
        def ask(number: int, chosen: np.ndarray) -> np.ndarray:
            return inference.predict(model, tta.look(pictures[chosen], tta.VIEWS[number]))

        return tta.answer(ask, len(pictures), rule).probabilities

    return classify


def find(sources: list[Path]) -> list[Path]:
    """The photos of files, of folders with all below them, and of CSVs with a column `path`, in order.

    Raises IngestError or TableError naming a folder without files, or a CSV that is none.
    """
    found = []
    for source in sources:
        if source.is_dir():
            found += [source / path for path in list_files(source)["path"]]
        elif source.suffix == ".csv":
            root = manifest.photo_root(source)
            found += [root / path for path in tables.read(source, {"path": "str"})["path"]]
        else:
            found.append(source)
    return found


COLUMNS = ("path", "label", "probability", "second_label", "second_probability", "note")


def predict(paths: list[Path], prepare: Preparation, classify: Classify, classes: list[str]) -> pd.DataFrame:
    """One row per photo, with COLUMNS; a photo that cannot be read has a note alone."""
    rows: list[tuple[object, ...]] = []
    tracked = progress.track(prepare.all(paths), len(paths), "photo", "predict")
    for group in batches.grouped(tracked, prepare.settings.detect.runtime.batch_size):
        pictures = [prepared.picture for _, prepared in group if prepared.picture is not None]
        answers = iter(classify(np.stack(pictures)) if pictures else ())
        for path, (picture, note) in group:
            named = ("", np.nan, "", np.nan) if picture is None else best_two(next(answers), classes)
            rows.append((str(path), *named, note))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def best_two(probabilities: np.ndarray, classes: list[str]) -> tuple[str, float, str, float]:
    """The likeliest class and its probability (four digits) of a row (C,), then the runner-up's."""
    first, second = np.argsort(-probabilities, kind="stable")[:2].tolist()
    return (
        classes[first],
        round(float(probabilities[first]), 4),
        classes[second],
        round(float(probabilities[second]), 4),
    )


_IDS: dict[str, Callable[[Path], str]] = {"stem": lambda path: path.stem, "name": lambda path: path.name, "path": str}


def submission(answers: pd.DataFrame, id_kind: str, columns: tuple[str, str]) -> pd.DataFrame:
    """A row per photo for a contest: an id, made of the path, and a label, under the names `columns`.

    Contests want an answer to every photo: one that cannot be read gets the label that the others have most often.
    """
    often = answers.loc[answers["label"] != "", "label"].mode()
    labels = answers["label"].replace("", often.iloc[0] if len(often) else "")
    return pd.DataFrame({columns[0]: [_IDS[id_kind](Path(path)) for path in answers["path"]], columns[1]: labels})


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "sources", type=Path, nargs="+", metavar="PHOTO", help="photos, folders of them, CSVs with a column `path`"
    )
    for name, default in (("params", "params.yaml"), ("classes", "data/classes.txt"), ("models", "models")):
        parser.add_argument(f"--{name}", type=Path, default=Path(default))
    parser.add_argument("--out", type=Path, help="write the table here instead of printing it")
    parser.add_argument("--submission", type=Path, help="also write a contest's file: id and label of every photo")
    parser.add_argument("--id", choices=list(_IDS), default="stem", help="what of its path is a photo's id there")
    parser.add_argument("--columns", nargs=2, default=("id", "label"), metavar=("ID", "LABEL"), help="its column names")
    return parser.parse_args()


def main() -> None:
    """Parse, load, predict, write."""
    args = arguments()
    paths, classes = find(args.sources), photos.read_classes(args.classes)
    prepare = Preparation(Settings.read(args.params), args.models / "pretrained")
    rule = params.read(args.params, "tta", TtaParams)
    answers = predict(paths, prepare, load_ensemble(args.models / "ensemble.json", args.models, classes, rule), classes)
    if args.out:
        tables.write(args.out, answers)
    else:
        print(answers.to_csv(index=False), end="")
    if args.submission:
        tables.write(args.submission, submission(answers, args.id, tuple(args.columns)))
    n_named = int((answers["label"] != "").sum())
    print(f"predict: {n_named} photos named, {len(answers) - n_named} not usable", file=sys.stderr)


if __name__ == "__main__":
    main()
