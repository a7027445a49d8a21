"""Heat maps of the ensemble on photos: where its models looked for the predicted class."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from stages.commands.inference_pipeline import ModelInputs
from stages.commands.trained_ensemble import EnsembleFiles
from stages.images import heat_overlay, images, letterbox
from stages.images.mask_window import WHOLE
from stages.images.settings import InputSettings, input_names
from stages.networks import heat_maps
from stages.networks.heat_maps import HeatMapFn
from stages.networks.settings import InferenceSettings
from stages.selection.main_car import crop_window


class ExplainedModel(NamedTuple):
    """A model that is explained: its maps, the name and the settings of the input that it sees, its weight."""

    explain: HeatMapFn
    input: str
    item: InputSettings
    weight: float


class PredictedPhoto(NamedTuple):
    """What the models saw of a photo, at least one image, and the number of the class to explain."""

    made: ModelInputs
    predicted: int


class EnsembleHeatMaps:
    """Draws heat maps over the crop, or over the whole photo where a model sees it; `margin` is that of the crop.

    A map is the mean of the models' maps with the weights of the ensemble, each the positive part of what places add to
    the logit of the class, with the sum 1. Views of test-time augmentation have no part in it.
    """

    def __init__(self, models: Mapping[str, ExplainedModel], margin: float) -> None:
        self._models, self._margin = models, margin
        self._is_whole = any(model.item.region == "full_image" for model in models.values())

    def draw(
        self, photos: Sequence[PredictedPhoto], reads: Sequence[Callable[[], bytes]], side: int
    ) -> list[np.ndarray | None]:
        """A picture `(H, W, 3)` uint8 RGB of each photo, at most `side` pixels each way; `reads` return their bytes.

        It is None for a photo that can no longer be read.
        """
        if not photos:
            return []
        classes = np.array([photo.predicted for photo in photos])
        shares = [model.explain(self._inputs(photos, model.input), classes) for model in self._models.values()]
        return [self._draw(photo.made, read, rows, side) for photo, read, rows in zip(photos, reads, zip(*shares))]

    @staticmethod
    def _inputs(photos: Sequence[PredictedPhoto], name: str) -> np.ndarray:
        return np.stack([(photo.made.images or {})[name] for photo in photos])

    def _draw(
        self, made: ModelInputs, read: Callable[[], bytes], rows: Sequence[np.ndarray], side: int
    ) -> np.ndarray | None:
        window = crop_window(made.box.corners if made.box else None, made.size_wh, self._margin)
        shown = (0, 0, *made.size_wh) if self._is_whole else window
        try:
            image, scale = _decode(read(), shown, side)
        except images.ImageError:
            return None
        size_wh = image.shape[1], image.shape[0]
        inner = _scaled(window, shown, scale, size_wh)
        total = np.zeros(size_wh[::-1])
        for model, shares in zip(self._models.values(), rows):
            place = (0, 0, *size_wh) if model.item.region == "full_image" else inner
            seen = (made.parts or {}).get(model.input, WHOLE).of(place)
            total += model.weight * heat_overlay.on_window(shares, model.item.frame_wh, model.item.fit, seen, size_wh)
        return heat_overlay.draw(image, total)


def _decode(content: bytes, window: tuple[int, int, int, int], side: int) -> tuple[np.ndarray, float]:
    """The window of a photo, `(H, W, 3)` uint8 RGB of at most `side` pixels each way, and its scale, 1 at most."""
    longer = max(window[2] - window[0], window[3] - window[1])
    decoded = images.decode_photo(content, lambda _: side / longer)
    share = decoded.image.shape[1] / decoded.size_wh[0]
    x_min, y_min, x_max, y_max = (round(share * corner) for corner in window)
    cut = decoded.image[y_min : max(y_max, y_min + 1), x_min : max(x_max, x_min + 1)]
    scale = min(1.0, side / max(cut.shape[:2]))
    size_wh = max(1, round(cut.shape[1] * scale)), max(1, round(cut.shape[0] * scale))
    return letterbox.resize(cut, *size_wh), share * scale


def _scaled(
    window: tuple[int, int, int, int], shown: tuple[int, int, int, int], scale: float, size_wh: tuple[int, int]
) -> tuple[int, int, int, int]:
    """`window` in pixels of the image that shows `shown` at `scale`, at least one pixel each way."""
    left, top = (min(round(scale * (window[n] - shown[n])), size_wh[n] - 1) for n in (0, 1))
    right, bottom = (min(round(scale * (window[n + 2] - shown[n])), size_wh[n]) for n in (0, 1))
    return left, top, max(right, left + 1), max(bottom, top + 1)


def load(files: EnsembleFiles) -> EnsembleHeatMaps:
    """The heat maps of the models that have a weight. Raises HeadError for a model whose head is of another kind."""
    preprocessing, weights, names = files.preprocessing(), files.read_weights().weights, input_names(files.settings)
    rule = InferenceSettings(batch_size=1, engine="auto", precision="f32")
    models = {
        name: ExplainedModel(
            heat_maps.load(files.folder / file, rule), names[name], preprocessing.inputs[names[name]], weights[name]
        )
        for name, file in files.models().items()
    }
    return EnsembleHeatMaps(models, preprocessing.crop.margin)
