"""Take the background away (or blur it, or keep it) and bring every crop into one frame, by default padded."""

import argparse
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pandas as pd

from stages.imaging import background, batches, frame, images
from stages.records import archive, atomic, command, crops, manifest, masks, params, progress, tables
from stages.records import letterbox as letterbox_table
from stages.records.archive import Archive

Channel = Annotated[int, params.Range(0, 255)]
Row = dict[str, object]


@dataclass(frozen=True)
class ResizeParams:
    """`width` and `height` of the frame in pixels, what becomes of the background, and the file format.

    `fit` says how a crop fills the frame (`frame.fit`). `fill` (red, green, blue) is the colour of the padding and
    of a removed background. `blur` is the sigma of a blurred one as a share of the crop's longer side. `png` is
    without loss, `jpg` has quality 95.
    """

    width: Annotated[int, params.Range(16, 2048)]
    height: Annotated[int, params.Range(16, 2048)]
    background: Literal["remove", "blur", "keep"]
    fill: tuple[Channel, Channel, Channel]
    blur: Annotated[float, params.Range(0, 0.5)]
    format: Literal["png", "jpg"]
    fit: frame.Fit = "pad"

    @property
    def frame_wh(self) -> tuple[int, int]:
        """The frame's width and height in pixels."""
        return self.width, self.height


def treat(crop: np.ndarray, mask: np.ndarray | None, settings: ResizeParams) -> np.ndarray:
    """Turn a crop `(H, W, 3)` and its mask `(H, W)`, both uint8, into `(height, width, 3)` uint8 RGB.

    Without a mask the background stays.
    """
    if mask is not None and settings.background == "remove":
        crop = background.remove(crop, mask, settings.fill)
    elif mask is not None and settings.background == "blur":
        crop = background.blur(crop, mask, settings.blur)
    return frame.fit(crop, settings.frame_wh, settings.fit, settings.fill)


def describe(crop: np.ndarray, has_mask: bool, settings: ResizeParams) -> Row:
    """Where the crop `(H, W, 3)` lies in the frame and what was done to its background.

    The scale is the larger one of the two sides', which differ by rounding, or by much in a squashed picture.
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


def make_padded(pictures: Archive, drawn: Archive, settings: ResizeParams, row: Row) -> tuple[bytes, Row]:
    """Treat the crop of one row of data/masks.csv with its mask among those `drawn`: the bytes of a picture (or none),
    and what data/letterbox.csv says of it.
    """
    image_id = str(row["image_id"])
    try:
        crop = images.stored_picture(pictures, crops.picture_of(image_id))
        mask = images.stored_mask(drawn, masks.picture_of(image_id)) if row["is_masked"] else None
    except images.ImageError as error:
        return b"", {"status": "failed", "reason": error.reason}
    if mask is not None and mask.shape != crop.shape[:2]:
        return b"", {"status": "failed", "reason": "mask_size"}
    content = images.encode(treat(crop, mask, settings), f".{settings.format}")
    return content, {"file": f"{image_id}.{settings.format}", **describe(crop, mask is not None, settings)}


def write_padded(
    path: Path, masked: pd.DataFrame, pictures: Archive, drawn: Archive, settings: ResizeParams
) -> dict[str, Row]:
    """Write the pictures of rows of data/masks.csv into one archive; what data/letterbox.csv says of each, by id."""
    made = batches.mapped(partial(make_padded, pictures, drawn, settings), masked.to_dict("records"), ahead=32)
    rows = {}
    with archive.writing(path) as add:
        for mask, (content, row) in progress.track(made, len(masked), "crop", "resize"):
            if content:
                add(str(row["file"]), content)
            rows[str(mask["image_id"])] = row
    return rows


def complete(photos: pd.DataFrame, masked: pd.DataFrame, written: dict[str, Row]) -> pd.DataFrame:
    """data/letterbox.csv: the rows of the manifest and data/masks.csv with what was `written` by image id."""
    rows = []
    for photo, mask in zip(photos.to_dict("records"), masked.to_dict("records")):
        row = {name: photo[name] for name in ("image_id", "path", "label", "group", "split")}
        row |= {"status": mask["status"], "reason": mask["reason"], "background": "", "file": ""}
        row |= {"scale": np.nan, "pad_left": 0, "pad_top": 0}
        rows.append(row | (written[str(photo["image_id"])] if mask["status"] == "ok" else {}))
    return pd.DataFrame(rows, columns=list(letterbox_table.COLUMNS))


def count(table: pd.DataFrame) -> dict[str, object]:
    """Counts for metrics: pictures by background and by split, rows that have none."""
    usable = table[table["status"] == "ok"]
    return {
        "photos": len(usable),
        "without_picture": len(table) - len(usable),
        "background": usable["background"].value_counts().to_dict(),
        "split": usable["split"].value_counts().to_dict(),
    }


def main() -> None:
    """Write data/letterbox.zip, data/letterbox.csv and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "manifest", "crops", "masks", "mask-table", "out", "table", "metrics"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    settings = params.read(arguments.params, "resize", ResizeParams)
    photos, masked = manifest.read(arguments.manifest), masks.read(arguments.mask_table)
    tables.require_same_rows(arguments.mask_table, masked, arguments.manifest, photos)
    wanted = masked[masked["status"] == "ok"]
    made = write_padded(arguments.out, wanted, Archive(arguments.crops), Archive(arguments.masks), settings)
    table = complete(photos, masked, made)
    tables.write(arguments.table, table)
    atomic.write_json(arguments.metrics, count(table))
    progress.summary("resize", crops=len(wanted), padded=int((table["status"] == "ok").sum()))


if __name__ == "__main__":
    command.run(main)
