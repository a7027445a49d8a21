"""Name the class of new photos with the trained ensemble, through the same functions as the pipeline's stages."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from stages import resize, segment
from stages.imaging import detection, images, masks, runtime, segmentation, selection
from stages.imaging.detection import DetectParams
from stages.imaging.masks import MaskParams
from stages.imaging.networks import DETECTORS
from stages.imaging.segmentation import SegmenterParams, SegmentParams
from stages.imaging.selection import Candidates, CropParams
from stages.learning import blend, inference, photos, tta
from stages.learning.tta import TtaParams
from stages.records import params, progress
from stages.resize import ResizeParams

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


class Preparation:
    """The picture half for one photo at a time: from a photo to what the models were trained on."""

    def __init__(self, settings: Settings, networks: Path) -> None:
        self.settings = settings
        self.detector = DETECTORS[settings.detect.network]
        outputs = list(self.detector.outputs)
        self.detect = runtime.load(networks / self.detector.file, outputs, settings.detect.runtime)
        self.segment = {
            name: segment.load(networks, view, settings.segment) for name, view in settings.segmenters.items()
        }

    def __call__(self, content: bytes) -> tuple[np.ndarray, str]:
        """Turn a file's bytes into `(side_px, side_px, 3)` uint8 RGB, and a note where the car was not cut out.

        Raises ImageError as `images.decode_photo` does.
        """
        box, note = self.choose(content)
        # The crop stage writes JPEG files and the later ones read them: the models know pictures that went that way.
        crop = images.decode(images.encode(selection.cut(content, box, self.settings.crop), ".jpg"))
        mask = self.draw(crop)
        picture = resize.treat(crop, None if mask.reason else mask.alpha, self.settings.resize)
        return picture, ", ".join(part for part in (note, mask.reason) if part)

    def choose(self, content: bytes) -> tuple[np.ndarray | None, str]:
        """The main car's box `(4,)` in pixels, or None and the reason."""
        if self.settings.crop.region == "photo":
            return None, ""
        picture, size_wh = detection.prepare(content, self.detector)
        (found,) = detection.detect(picture[None], [size_wh], self.detect, self.detector, self.settings.detect)
        names = np.array([self.detector.classes[number] for number in found.classes.tolist()])
        choice = selection.choose(Candidates(*detection.rounded(found), names), size_wh, self.settings.crop)
        return (None if choice.index is None else detection.rounded(found)[0][choice.index]), choice.reason

    def draw(self, crop: np.ndarray) -> masks.Mask:
        """The mask of a crop `(H, W, 3)` uint8 RGB."""
        maps = {}
        for name, view in self.settings.segmenters.items():
            inputs = segmentation.prepare(crop, view)[None]
            (maps[name],) = segmentation.segment(inputs, self.segment[name], view)
        return masks.combine(maps, (crop.shape[1], crop.shape[0]), self.settings.mask)


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


def predict(paths: list[Path], prepare: Preparation, classify: Classify, classes: list[str]) -> pd.DataFrame:
    """One row per photo: `path`, `label`, `probability`, `note`; a photo that cannot be read has a note alone."""
    rows = []
    for path in progress.track(paths, len(paths), "photo", "predict"):
        try:
            picture, note = prepare(images.load(path))
        except images.ImageError as error:
            rows.append((str(path), "", np.nan, str(error)))
            continue
        (probabilities,) = classify(picture[None])
        best = int(probabilities.argmax())
        rows.append((str(path), classes[best], round(float(probabilities[best]), 4), note))
    return pd.DataFrame(rows, columns=["path", "label", "probability", "note"])


def main() -> None:
    """Print one line per photo named on the command line, as CSV."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photos", type=Path, nargs="+", metavar="PHOTO")
    for name, default in (("params", "params.yaml"), ("classes", "data/classes.txt"), ("models", "models")):
        parser.add_argument(f"--{name}", type=Path, default=Path(default))
    arguments = parser.parse_args()
    classes = photos.read_classes(arguments.classes)
    prepare = Preparation(Settings.read(arguments.params), arguments.models / "pretrained")
    rule = params.read(arguments.params, "tta", TtaParams)
    classify = load_ensemble(arguments.models / "ensemble.json", arguments.models, classes, rule)
    print(predict(arguments.photos, prepare, classify, classes).to_csv(index=False), end="")


if __name__ == "__main__":
    main()
