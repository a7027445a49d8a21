"""Photos to the inputs of the models, for prediction, with the functions of the stages."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stages.core import batches
from stages.core.settings import read as read_settings
from stages.crop import cutting
from stages.crop.settings import CropSettings
from stages.detect import detector
from stages.detect.detector import DetectorInput
from stages.detect.settings import DetectSettings
from stages.images import images
from stages.images.mask_window import Part, part_shown
from stages.images.settings import InputSettings, read_used
from stages.mask import combine
from stages.mask.settings import MaskSettings
from stages.networks.catalogue import DETECTORS
from stages.resize.composer import Composer
from stages.resize.settings import ResizeSettings
from stages.segment import segmenter
from stages.segment.settings import SegmenterSettings, SegmentSettings
from stages.selection import main_car
from stages.selection.main_car import Candidates

# The sections of params.yaml that prediction reads.
SECTIONS = ("runtime", "detect", "crop", "segment", "segmenters", "mask", "resize", "tta")


@dataclass(frozen=True)
class PreprocessingSettings:
    """The sections of params.yaml that decide how a photo becomes the input of the models."""

    detect: DetectSettings
    crop: CropSettings
    segment: SegmentSettings
    segmenters: dict[str, SegmenterSettings]
    mask: MaskSettings
    inputs: dict[str, InputSettings]
    resize: ResizeSettings

    @classmethod
    def read(cls, path: Path, models: Iterable[str]) -> "PreprocessingSettings":
        """Read the sections: the inputs of `models`, and the segmenters that have a weight, if an input uses masks."""
        mask, inputs = read_settings(path, "mask", MaskSettings), read_used(path, models)
        uses_masks = any(item.uses_masks for item in inputs.values())
        return cls(
            detect=read_settings(path, "detect", DetectSettings),
            crop=read_settings(path, "crop", CropSettings),
            segment=read_settings(path, "segment", SegmentSettings),
            segmenters={
                name: read_settings(path, f"segmenters.{name}", SegmenterSettings)
                for name, weight in mask.weights.items()
                if weight and uses_masks
            },
            mask=mask,
            inputs=inputs,
            resize=read_settings(path, "resize", ResizeSettings),
        )

    def network_files(self) -> list[str]:
        """The files of the detector and the segmenters below the folder of networks, sorted."""
        return sorted({DETECTORS[self.detect.network].file, *(view.spec.file for view in self.segmenters.values())})


class LoadedPhoto(NamedTuple):
    """The bytes of a photo and the detector's input, or None; `error` says why there is neither."""

    content: bytes
    detector_input: DetectorInput | None
    error: str = ""

    @property
    def size_wh(self) -> tuple[int, int]:
        """Width and height of the upright photo in pixels, zeros where it cannot be decoded."""
        return (0, 0) if self.detector_input is None else self.detector_input.size_wh


class MainCarBox(NamedTuple):
    """The main car's box `(4,)` float64 in pixels of the upright photo, and its score, 0..1."""

    corners: np.ndarray
    score: float


class ModelInputs(NamedTuple):
    """What models see of a photo, `(height, width, 3)` uint8 RGB by the name of the input, or None.

    `note` says why there is no crop or mask, or nothing at all. `size_wh` is that of the upright photo in pixels, zeros
    where it cannot be decoded; `box` is None where no main car is cropped. `parts` names the inputs that show a part of
    the crop alone.
    """

    images: dict[str, np.ndarray] | None
    note: str
    size_wh: tuple[int, int] = (0, 0)
    box: MainCarBox | None = None
    parts: dict[str, Part] | None = None


class Preprocessor:
    """Detection, crop, mask and resize: from the files of photos to the inputs of the models, as in training."""

    def __init__(self, settings: PreprocessingSettings, networks: Path) -> None:
        self.settings = settings
        self.composers = {name: Composer(item, settings.resize) for name, item in settings.inputs.items()}
        self.detector = DETECTORS[settings.detect.network]
        self.detector_fn = detector.load_network(settings.detect, networks / self.detector.file)
        self.segmenter_fns = {
            name: segmenter.load_network(view, settings.segment, networks / view.spec.file)
            for name, view in settings.segmenters.items()
        }

    def run(
        self, photos: Sequence[Any], read: Callable[[Any], bytes] = images.load
    ) -> Iterator[tuple[Any, ModelInputs]]:
        """Yield every photo with its model inputs, in order; files are decoded ahead, networks run on batches.

        `read` returns the bytes of a photo, here those of its path, or raises ImageError. The result of a photo does
        not depend on the others.
        """
        size = self.settings.detect.inference.batch_size
        loaded = batches.ordered_thread_map(partial(self._load, read), photos, ahead=2 * size)
        for batch in batches.batched(loaded, size):
            yield from zip([photo for photo, _ in batch], self._preprocess([content for _, content in batch]))

    def _load(self, read: Callable[[Any], bytes], photo: Any) -> LoadedPhoto:
        try:
            content = read(photo)
            return LoadedPhoto(content, detector.prepare(content, self.detector))
        except images.ImageError as error:
            return LoadedPhoto(b"", None, str(error))

    def _preprocess(self, photos: list[LoadedPhoto]) -> list[ModelInputs]:
        boxes = iter(self._detect([photo.detector_input for photo in photos if photo.detector_input is not None]))
        cuts = [(photo, *(next(boxes) if not photo.error else (None, ""))) for photo in photos]
        crops = [crop for _, crop in batches.ordered_thread_map(self._crop, cuts, ahead=len(cuts))]
        masks = iter(self._segment([image for image, _ in crops if image is not None]))
        whole = [
            (photo.content, crop, None if crop is None else next(masks), note)
            for photo, (crop, note) in zip(photos, crops)
        ]
        made = (inputs for _, inputs in batches.ordered_thread_map(self._compose, whole, ahead=len(whole)))
        return [inputs._replace(size_wh=photo.size_wh, box=box) for inputs, (photo, box, _) in zip(made, cuts)]

    def _detect(self, photos: list[DetectorInput]) -> list[tuple[MainCarBox | None, str]]:
        """The main car's box of each photo, or None and the reason."""
        if self.settings.crop.mode == "full_image" or not photos:
            return [(None, "")] * len(photos)
        keyed = ((photo.size_wh, photo) for photo in photos)
        found = detector.detect(keyed, self.detector_fn, self.detector, self.settings.detect)
        return [self._select_box(objects, size_wh) for size_wh, objects in found]

    def _select_box(
        self, detections: detector.centernet.Detections, size_wh: tuple[int, int]
    ) -> tuple[MainCarBox | None, str]:
        corners, scores = detector.rounded(detections)
        names = np.array([self.detector.classes[number] for number in detections.classes.tolist()])
        selection = main_car.select_box(Candidates(corners, scores, names), size_wh, self.settings.crop)
        if selection.index is None:
            return None, selection.reason
        return MainCarBox(corners[selection.index], float(scores[selection.index])), selection.reason

    def _crop(self, cut: tuple[LoadedPhoto, MainCarBox | None, str]) -> tuple[np.ndarray | None, str]:
        """The crop `(H, W, 3)` uint8 RGB and the note; None for a photo that cannot be read."""
        photo, box, note = cut
        if photo.error:
            return None, photo.error
        try:
            crop = cutting.crop_image(photo.content, box.corners if box else None, self.settings.crop)
        except images.ImageError as error:
            return None, str(error)
        # The crop stage writes JPEG files: the models are trained on images with its compression.
        return images.decode(images.encode(crop, ".jpg")), note

    def _segment(self, crops: list[np.ndarray]) -> list[combine.Mask | None]:
        """The masks of crops `(H, W, 3)` uint8 RGB; None where none is needed."""
        if not crops or not self.segmenter_fns:
            return [None] * len(crops)
        maps = {}
        for name, view in self.settings.segmenters.items():
            inputs = ((number, segmenter.prepare(crop, view)) for number, crop in enumerate(crops))
            maps[name] = [one for _, one in segmenter.segment(inputs, self.segmenter_fns[name], view)]
        return [
            combine.combine({name: rows[n] for name, rows in maps.items()}, crop.shape[1::-1], self.settings.mask)
            for n, crop in enumerate(crops)
        ]

    def _compose(self, photo: tuple[bytes, np.ndarray | None, combine.Mask | None, str]) -> ModelInputs:
        """The model inputs of a photo: the bytes of its file, its crop or None, its mask or None, and its note."""
        content, crop, mask, note = photo
        if crop is None:
            return ModelInputs(None, note)
        alpha, reason = (None, "") if mask is None else (None if mask.reason else mask.alpha, mask.reason)
        try:
            made = {
                name: composer.of_photo(content)
                if composer.item.region == "full_image"
                else composer.of_crop(crop, alpha if composer.item.uses_masks else None)
                for name, composer in self.composers.items()
            }
        except images.ImageError as error:  # of another scale than the crop's
            return ModelInputs(None, str(error))
        parts = {
            name: part_shown(alpha, item.mask_margin)
            for name, item in self.settings.inputs.items()
            if item.mask_margin is not None
        }
        return ModelInputs(made, ", ".join(text for text in (note, reason) if text), parts=parts)
