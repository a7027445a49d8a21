"""The trained ensemble made ready for new photos, from the project or from a bundle: the functions are the stages'."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx

from stages.commands import bundle_manifest
from stages.core import batches
from stages.core.settings import read as read_settings
from stages.crop import cropping
from stages.crop.settings import CropSettings
from stages.detect import detector
from stages.detect.settings import DetectSettings
from stages.ensemble import weighting
from stages.evaluate import tta, tta_views
from stages.evaluate.settings import TtaSettings
from stages.images import images
from stages.mask import combine
from stages.mask.settings import MaskSettings
from stages.networks import runtime
from stages.networks.catalogue import DETECTORS
from stages.networks.settings import InferenceSettings
from stages.resize import framing
from stages.resize.settings import ResizeSettings
from stages.schemas import class_list
from stages.scoring.probabilities import normalised
from stages.segment import segmentation, segmenter
from stages.segment.settings import SegmenterSettings, SegmentSettings
from stages.selection import main_car
from stages.selection.main_car import Candidates

# Pictures (N, H, W, 3) uint8 RGB to probabilities (N, C).
Classify = Callable[[np.ndarray], np.ndarray]
# Of the parameters, what bears on new photos.
SECTIONS = ("detect", "crop", "segment", "segmenters", "mask", "resize", "tta")


@dataclass(frozen=True)
class PreprocessingSettings:
    """The sections of params.yaml that decide what happens to a photo before a model sees it."""

    detect: DetectSettings
    crop: CropSettings
    segment: SegmentSettings
    segmenters: dict[str, SegmenterSettings]
    mask: MaskSettings
    resize: ResizeSettings

    @classmethod
    def read(cls, path: Path) -> "PreprocessingSettings":
        """Read the sections, and of the segmenters those that have a weight."""
        mask = read_settings(path, "mask", MaskSettings)
        return cls(
            detect=read_settings(path, "detect", DetectSettings),
            crop=read_settings(path, "crop", CropSettings),
            segment=read_settings(path, "segment", SegmentSettings),
            segmenters={
                n: read_settings(path, f"segmenters.{n}", SegmenterSettings) for n, w in mask.weights.items() if w
            },
            mask=mask,
            resize=read_settings(path, "resize", ResizeSettings),
        )


class LoadedPhoto(NamedTuple):
    """A photo's bytes, and what the detector is shown of it; `error` says why there is neither."""

    content: bytes
    picture: np.ndarray | None
    size_wh: tuple[int, int]
    error: str = ""


class ModelInput(NamedTuple):
    """What the models see, `(height, width, 3)` uint8 RGB, or None; `note` says why the car was not cut out."""

    picture: np.ndarray | None
    note: str


class Preprocessor:
    """The picture half: from the files of photos to what the models were trained on."""

    def __init__(self, settings: PreprocessingSettings, networks: Path) -> None:
        self.settings = settings
        self.detector = DETECTORS[settings.detect.network]
        outputs = list(self.detector.outputs)
        self.detect = runtime.load(networks / self.detector.file, outputs, settings.detect.inference)
        self.segment = {
            name: segmentation.load_network(networks, view, settings.segment)
            for name, view in settings.segmenters.items()
        }

    def all(self, paths: list[Path]) -> Iterator[tuple[Path, ModelInput]]:
        """Yield every path with its picture, in order; files are decoded ahead, networks work on batches.

        What becomes of a photo does not depend on the others.
        """
        size = self.settings.detect.inference.batch_size
        ready = batches.ordered_thread_map(self._load, paths, ahead=2 * size)
        for group in batches.batched(ready, size):
            yield from zip([path for path, _ in group], self._prepare([loaded for _, loaded in group]))

    def _load(self, path: Path) -> LoadedPhoto:
        try:
            content = images.load(path)
            return LoadedPhoto(content, *detector.prepare(content, self.detector))
        except images.ImageError as error:
            return LoadedPhoto(b"", None, (0, 0), str(error))

    def _prepare(self, group: list[LoadedPhoto]) -> list[ModelInput]:
        good = [loaded for loaded in group if loaded.picture is not None]
        chosen = iter(self._choose(good))
        pieces = [(loaded, *next(chosen)) if loaded.picture is not None else (loaded, None, "") for loaded in group]
        cut = [crop for _, crop in batches.ordered_thread_map(self._cut, pieces, ahead=len(pieces))]
        drawn = iter(self._draw([crop for crop, _ in cut if crop is not None]))
        return [
            self._finish(crop, note, next(drawn)) if crop is not None else ModelInput(None, note) for crop, note in cut
        ]

    def _choose(self, group: list[LoadedPhoto]) -> list[tuple[np.ndarray | None, str]]:
        """The main car's box `(4,)` in pixels of each photo, or None and the reason."""
        if self.settings.crop.mode == "full_image" or not group:
            return [(None, "")] * len(group)
        sizes = [loaded.size_wh for loaded in group]
        pictures = np.stack([picture for loaded in group if (picture := loaded.picture) is not None])
        found = detector.detect(pictures, sizes, self.detect, self.detector, self.settings.detect)
        return [self._choose_one(*one) for one in zip(found, sizes)]

    def _choose_one(
        self, found: detector.centernet.Detections, size_wh: tuple[int, int]
    ) -> tuple[np.ndarray | None, str]:
        corners, scores = detector.rounded(found)
        names = np.array([self.detector.classes[number] for number in found.classes.tolist()])
        choice = main_car.select_box(Candidates(corners, scores, names), size_wh, self.settings.crop)
        return (None if choice.index is None else corners[choice.index]), choice.reason

    def _cut(self, piece: tuple[LoadedPhoto, np.ndarray | None, str]) -> tuple[np.ndarray | None, str]:
        """The crop `(H, W, 3)` uint8 RGB and the note so far; None for a photo that cannot be read."""
        loaded, box, note = piece
        if loaded.error:
            return None, loaded.error
        try:
            cut = cropping.crop_image(loaded.content, box, self.settings.crop)
        except images.ImageError as error:
            return None, str(error)
        # The crop stage writes JPEG files and the later ones read them: the models know pictures that went that way.
        return images.decode(images.encode(cut, ".jpg")), note

    def _draw(self, crops: list[np.ndarray]) -> list[combine.Mask]:
        """The masks of crops `(H, W, 3)` uint8 RGB."""
        if not crops:
            return []
        maps = {}
        for name, view in self.settings.segmenters.items():
            inputs = np.stack([segmenter.prepare(crop, view) for crop in crops])
            maps[name] = segmenter.segment(inputs, self.segment[name], view)
        return [
            combine.combine({n: drawn[place] for n, drawn in maps.items()}, crop.shape[1::-1], self.settings.mask)
            for place, crop in enumerate(crops)
        ]

    def _finish(self, crop: np.ndarray, note: str, mask: combine.Mask) -> ModelInput:
        picture = framing.compose_input(crop, None if mask.reason else mask.alpha, self.settings.resize)
        return ModelInput(picture, ", ".join(part for part in (note, mask.reason) if part))


def ensemble(models: dict[str, Classify], weights: dict[str, float], temperature: float, rule: TtaSettings) -> Classify:
    """Blend `models`, each looking at as many views of a picture as `rule` wants."""
    mix = weighting.WeightedEnsemble(np.array([weights[name] for name in models]), temperature)

    def look(model: Classify, pictures: np.ndarray) -> np.ndarray:
        def ask(number: int, chosen: np.ndarray) -> np.ndarray:
            return model(tta_views.apply_transform(pictures[chosen], tta_views.VIEWS[number]))

        return tta.predict_tta(ask, len(pictures), rule).probabilities

    return lambda pictures: mix(np.stack([look(model, pictures) for model in models.values()]))


def load_keras(path: Path, n_classes: int) -> Classify:
    """A trained model in Keras."""
    from stages.classifiers import inference  # TensorFlow: seconds to import, and not needed for a bundle

    return partial(inference.predict, inference.load(path, n_classes))


def load_onnx(path: Path) -> Classify:
    """A model of a bundle, in whatever engine fits the machine."""
    (output,) = onnx.load(path, load_external_data=False).graph.output
    network = runtime.load(path, [output.name], InferenceSettings(batch_size=1, engine="auto", precision="f32"))
    return lambda pictures: normalised(np.stack(network(pictures)[0]))


class Ensemble(NamedTuple):
    """All that names photos."""

    prepare: Preprocessor
    classify: Classify
    classes: list[str]


def from_project() -> Ensemble:
    """The ensemble of the last `dvc repro` in this folder."""
    settings, classes, models = Path("params.yaml"), class_list.read_classes(Path("data/classes.txt")), Path("models")
    weights, temperature = weighting.read(models / "ensemble.json", classes)
    used = {n: load_keras(models / n / "model.keras", len(classes)) for n, weight in weights.items() if weight > 0}
    classify = ensemble(used, weights, temperature, read_settings(settings, "tta", TtaSettings))
    return Ensemble(Preprocessor(PreprocessingSettings.read(settings), models / "pretrained"), classify, classes)


def from_bundle(folder: Path) -> Ensemble:
    """The ensemble in a folder that `bundle` made. Raises BundleError unless every file is as it was then."""
    bundle_manifest.verify(folder)
    settings, classes = folder / "params.yaml", class_list.read_classes(folder / "classes.txt")
    weights, temperature = weighting.read(folder / "ensemble.json", classes)
    used = {name: load_onnx(folder / "models" / f"{name}.onnx") for name, weight in weights.items() if weight > 0}
    classify = ensemble(used, weights, temperature, read_settings(settings, "tta", TtaSettings))
    return Ensemble(Preprocessor(PreprocessingSettings.read(settings), folder / "networks"), classify, classes)
