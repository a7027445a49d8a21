"""Remove, blur or keep the background of every crop, and fit the crop into one frame, by default padded."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from stages.core import batches, progress, shard_writer, system
from stages.core.archive import Archive
from stages.core.result_cache import code_digest
from stages.core.shard_writer import Made
from stages.core.tables import TableError
from stages.images import archived, background, images
from stages.resize import frame
from stages.resize.settings import ResizeSettings
from stages.schemas import crops, masks, model_inputs

Row = dict[str, object]


class Crop(NamedTuple):
    """A crop by its photo's id, and whether its mask is used."""

    image_id: str
    is_masked: bool


def compose_input(crop: np.ndarray, mask: np.ndarray | None, settings: ResizeSettings) -> np.ndarray:
    """The model input `(height, width, 3)` uint8 RGB of a crop `(H, W, 3)` and its mask `(H, W)`, both uint8.

    Without a mask the background is kept.
    """
    if mask is not None and settings.background == "remove":
        crop = background.remove(crop, mask, settings.fill)
    elif mask is not None and settings.background == "blur":
        crop = background.blur(crop, mask, settings.blur)
    return frame.fit(crop, settings.frame_wh, settings.fit, settings.fill)


def describe(crop: np.ndarray, has_mask: bool, settings: ResizeSettings) -> Row:
    """The background treatment of a crop `(H, W, 3)`, its scale, and its place in the frame.

    The scale is the larger one of the two sides', which differ by rounding, or by more with `squash`.
    """
    height, width = crop.shape[:2]
    place = frame.place(width, height, settings.frame_wh, settings.fit)
    scale = max(place.width / width, place.height / height)
    return {
        "background": settings.background if has_mask else "keep",
        "scale": round(scale, 6),
        "pad_left": place.left,
        "pad_top": place.top,
    }


def make_model_input(
    crop_archive: Archive, mask_archive: Archive, settings: ResizeSettings, chosen: Crop
) -> tuple[bytes, Row]:
    """The encoded model input of a crop (or nothing), and its columns of data/model_inputs.csv."""
    image_id = chosen.image_id
    try:
        crop = archived.read_image(crop_archive, crops.file_name(image_id))
        mask = archived.read_mask(mask_archive, masks.file_name(image_id)) if chosen.is_masked else None
    except images.ImageError as error:
        return b"", {"status": "failed", "reason": error.reason}
    if mask is not None and mask.shape != crop.shape[:2]:
        return b"", {"status": "failed", "reason": "mask_size"}
    content = images.encode(compose_input(crop, mask, settings), f".{settings.format}")
    return content, {"file": f"{image_id}.{settings.format}", **describe(crop, mask is not None, settings)}


def write_model_inputs(
    folder: Path,
    memory: Path,
    by_shard: dict[str, list[Crop]],
    crop_archive: Archive,
    mask_archive: Archive,
    settings: ResizeSettings,
) -> dict[str, Row]:
    """Write the model inputs of crops, by shard, into the shards of an archive.

    Returns the table's columns by image id. See `shard_writer.update` for `memory`.
    """

    def make(chosen: list[Crop]) -> Iterator[Made]:
        make_one = partial(make_model_input, crop_archive, mask_archive, settings)
        made = batches.ordered_thread_map(make_one, chosen, ahead=32)
        for crop, (content, row) in progress.track(made, len(chosen), "crop", "resize"):
            yield Made(str(row.get("file", "")), content, [crop.image_id, row])

    common = [code_digest("stages.resize.framing"), system.image_libraries(), settings.model_dump()]
    sources = {"crops": crop_archive, "masks": mask_archive}
    tasks = shard_writer.of_archives(by_shard, sources, lambda chosen: [*common, [list(crop) for crop in chosen]])
    return dict(shard_writer.update(folder, memory, tasks, make))


def complete(photos: pd.DataFrame, masked: pd.DataFrame, written: dict[str, Row]) -> pd.DataFrame:
    """The table data/model_inputs.csv: the rows of the manifest and data/masks.csv with `written` by image id."""
    own = {name: photos[name].tolist() for name in ("image_id", "path", "label", "group", "split")}
    own |= {name: masked[name].tolist() for name in ("status", "reason")}
    without: Row = {"background": "", "file": "", "scale": np.nan, "pad_left": 0, "pad_top": 0}
    found = [written[name] if status == "ok" else {} for name, status in zip(own["image_id"], own["status"])]
    columns: dict[str, list[object]] = {
        name: [row.get(name, value) for row in found] for name, value in without.items()
    }
    columns |= {name: [row.get(name, value) for row, value in zip(found, own[name])] for name in own}
    return pd.DataFrame(columns, columns=list(model_inputs.COLUMNS))


def require_every_class(path: Path, table: pd.DataFrame, photos: pd.DataFrame) -> None:
    """Raise TableError naming a class of the manifest `photos` none of whose train photos has a model input."""
    in_train = photos[(photos["status"] == "ok") & (photos["split"] == "train")]
    rows = table.loc[in_train.index]
    used = set(rows.loc[rows["status"] == "ok", "label"])
    lost = rows[~rows["label"].isin(used)]
    if len(lost):
        label = lost["label"].iloc[0]
        reasons = lost.loc[lost["label"] == label, "reason"].value_counts()
        counts = ", ".join(f"{number} {reason}" for reason, number in reasons.items())
        raise TableError(
            f"{path}: expected a train photo of each class, found none of `{label}` ({counts}); relax the rule in "
            "section crop, set crop.on_no_box to full_image, or drop the class by ingest.class_map"
        )


def count(table: pd.DataFrame) -> dict[str, object]:
    """Counts for metrics: model inputs by background and by split, rows without one."""
    usable = table[table["status"] == "ok"]
    return {
        "photos": len(usable),
        "without_model_input": len(table) - len(usable),
        "background": usable["background"].value_counts().to_dict(),
        "split": usable["split"].value_counts().to_dict(),
    }
