"""Make the model inputs of all photos from their crops and masks, or from whole photos."""

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np
import pandas as pd

from stages.core import batches, progress, shard_writer, system
from stages.core.archive import Archive
from stages.core.result_cache import code_digest
from stages.core.shard_writer import Made, Shard, ShardFolder
from stages.images import archived, images
from stages.images.settings import InputSettings
from stages.resize.composer import Composer
from stages.schemas import crops, masks, model_inputs
from stages.schemas.shards import Assignment
from stages.sources.photos import ReadsPhotos


class UsedPhoto(NamedTuple):
    """A row of data/splits.csv that is used, and whether its mask is."""

    image_id: str
    path: str
    split: str
    is_masked: bool


class Sources(NamedTuple):
    """What model inputs are made from: the archives of crops and masks, and the photos themselves."""

    crops: Archive
    masks: Archive
    photos: ReadsPhotos


def used_photos(splits: pd.DataFrame, masked: pd.DataFrame, uses_masks: bool) -> pd.DataFrame:
    """The used photos of data/splits.csv, with the columns of `UsedPhoto`.

    Their masks are used, too, where data/masks.csv and the input say so.
    """
    is_masked = masked["is_masked"] & uses_masks
    rows = splits[["image_id", "path", "split"]].assign(is_masked=is_masked.to_numpy())
    return rows[splits["status"] == "ok"]


def each(photos: pd.DataFrame) -> Iterator[UsedPhoto]:
    """The rows of `used_photos` one by one: as Python values they take several times the memory."""
    return (UsedPhoto(*row) for row in photos[list(UsedPhoto._fields)].itertuples(index=False, name=None))


def compose(sources: Sources, composer: Composer, photo: UsedPhoto) -> np.ndarray:
    """The model input `(height, width, 3)` uint8 RGB of a photo.

    Raises ImageError where a source is damaged or missing.
    """
    if composer.item.region == "full_image":
        try:
            return composer.of_photo(sources.photos.load(photo.path, photo.image_id, photo.split))
        except images.ImageError as error:
            raise error.of(photo.path) from None
    crop = archived.read_image(sources.crops, crops.file_name(photo.image_id))
    mask = archived.read_mask(sources.masks, masks.file_name(photo.image_id)) if photo.is_masked else None
    if mask is not None and mask.shape != crop.shape[:2]:
        text = f"{sources.masks.path}: {masks.file_name(photo.image_id)}: expected the crop's height and width "
        raise images.ImageError("mask_size", f"{text}{crop.shape[:2]}, found {mask.shape}; run `dvc repro -sf mask`")
    return composer.of_crop(crop, mask)


def write_model_inputs(
    archive: ShardFolder,
    photos: pd.DataFrame,
    assignment: Assignment,
    sources: Sources,
    composer: Composer,
    name: str,
) -> int:
    """Write the model inputs of photos, rows of `used_photos`, by the entry `name` of `inputs`; return their number."""

    def make(numbers: np.ndarray) -> Iterator[Made]:
        def encoded(photo: UsedPhoto) -> bytes:
            return images.encode(compose(sources, composer, photo), f".{composer.rule.format}")

        some = (each(photos.iloc[rows]) for rows in batches.batched(numbers, batches.ROWS_AT_ONCE))
        made = batches.ordered_thread_map(encoded, chain.from_iterable(some), ahead=32)
        for photo, content in progress.track(made, len(numbers), "photo", f"resize {name}"):
            file = model_inputs.file_name(photo.image_id, f".{composer.rule.format}")
            yield Made(file, content, None)

    tasks = _shards(photos, assignment, sources, composer)
    return sum(1 for _ in archive.update(tasks, make))


def _shards(photos: pd.DataFrame, assignment: Assignment, sources: Sources, composer: Composer) -> dict[str, Shard]:
    """The shards, of the numbers of rows, with what their members depend on.

    The image id stands for the photo's bytes, wherever it lies.
    """
    by_shard, decides = assignment.split(photos["image_id"]), photos[["image_id", "is_masked"]]
    common = [code_digest("stages.resize.framing"), system.image_libraries()]
    common += [composer.item.model_dump(), composer.rule.model_dump()]
    is_whole = composer.item.region == "full_image"
    archives = {} if is_whole else {"crops": sources.crops}
    archives |= {"masks": sources.masks} if composer.item.uses_masks else {}
    return shard_writer.of_archives(
        by_shard, archives, lambda numbers: [*common, decides.iloc[numbers].to_numpy(object).tolist()]
    )


def count(photos: pd.DataFrame, item: InputSettings) -> dict[str, object]:
    """Counts for metrics: model inputs by what became of the background, those cut to their mask, and by split."""
    n_masked = int(photos["is_masked"].sum())
    treated = Counter({item.background: n_masked}) + Counter({"keep": len(photos) - n_masked})
    return {
        "photos": len(photos),
        "background": dict(treated),
        "cut_to_mask": 0 if item.mask_margin is None else n_masked,
        "split": photos["split"].value_counts().to_dict(),
    }
