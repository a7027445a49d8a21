"""Heat maps for the galleries: where the models of the ensemble looked for a class."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from stages.core.archive import Archive
from stages.images import archived, heat_overlay, images
from stages.images.mask_window import WHOLE, Part, part_shown
from stages.images.settings import InputSettings, input_names, read_used
from stages.networks import heat_maps
from stages.networks.heat_maps import HeatMapFn
from stages.networks.settings import InferenceSettings
from stages.report.pictures import Thumbnail
from stages.report.thumbnails import ArchiveThumbnails
from stages.schemas import masks, model_inputs

# One engine and precision, whatever the machine has: the page has the same bytes then.
_RULE = InferenceSettings(batch_size=1, engine="openvino", precision="f32")


class ShownModel(NamedTuple):
    """A model of the ensemble: its file, the images that it sees and their settings, its weight."""

    file: Path
    images: Archive
    item: InputSettings
    weight: float


class HeatMapThumbnails:
    """Thumbnails of heat maps of `models` for one of `classes`, drawn over those of crops and photos.

    The archive `masks` tells which part of a crop a model sees.
    """

    def __init__(
        self, models: list[ShownModel], classes: list[str], thumbnails: ArchiveThumbnails, masks: Archive
    ) -> None:
        self._models, self._thumbnails, self._masks = models, thumbnails, masks
        self._numbers = {name: number for number, name in enumerate(classes)}
        self._load = cache(_load)

    def of(self, row: pd.Series, label: str) -> list[Thumbnail]:
        """The heat map over a photo's crop, of the models that see it, then over the photo, of those that see that.

        `row` has its `image_id`, `path`, `split` and `is_masked`.
        """
        found = []
        for region in ("box", "full_image"):
            models = [model for model in self._models if model.item.region == region and model.weight > 0]
            if models:
                found.append(self._draw(self._base(row, region), models, row, self._numbers[label]))
        return found

    def _base(self, row: pd.Series, region: str) -> Thumbnail:
        if region == "box":
            return self._thumbnails.crop(row["image_id"])
        return self._thumbnails.photo(row["path"], row["image_id"], row["split"])

    def _draw(self, base: Thumbnail, models: list[ShownModel], row: pd.Series, number: int) -> Thumbnail:
        """The thumbnail `base` below the weighted mean of the maps of models."""
        if base.image is None:
            return base
        size_wh = base.image.shape[1], base.image.shape[0]
        total = np.zeros(size_wh[::-1])
        try:
            for model in models:
                (file,) = model_inputs.file_names(model.images, [row["image_id"]])
                image = archived.read_image(model.images, file)
                shares = self._load(model.file)(image[None], np.array([number]))[0]
                window = self._part(row, model.item).of((0, 0, *size_wh))
                total += model.weight * heat_overlay.on_window(
                    shares, model.item.frame_wh, model.item.fit, window, size_wh
                )
        except images.ImageError as error:
            return Thumbnail(None, error.reason)
        return Thumbnail(heat_overlay.draw(base.image, total), "")

    def _part(self, row: pd.Series, item: InputSettings) -> Part:
        """The part of the photo's crop that a model sees."""
        if item.mask_margin is None or not row["is_masked"]:
            return WHOLE
        return part_shown(archived.read_mask(self._masks, masks.file_name(row["image_id"])), item.mask_margin)


def _load(file: Path) -> HeatMapFn:
    return heat_maps.load(file, _RULE)


def shown_models(params: Path, models: Path, weights: dict[str, float], inputs: dict[str, Archive]) -> list[ShownModel]:
    """The models of the ensemble by their weights, in the folder `models`, and what they see."""
    names, items = input_names(params), read_used(params)
    return [
        ShownModel(models / name / "model.onnx", inputs[names[name]], items[names[name]], weight)
        for name, weight in sorted(weights.items())
    ]
