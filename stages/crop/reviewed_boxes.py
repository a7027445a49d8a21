"""Boxes that people drew, in place of those of the rule."""

from pathlib import Path

import numpy as np
import pandas as pd

from stages.core.errors import TableError
from stages.crop.settings import CropSettings
from stages.images import boxes
from stages.schemas import corrections, crops

_TOLERANCE = 1.0  # pixels beyond the photo, by rounding


def read(path: Path, photos: pd.DataFrame) -> dict[str, np.ndarray]:
    """The boxes `(4,)` float64 in pixels of the upright photo by image id, of photos of the manifest that are used.

    Raises TableError for one that ends outside its photo.
    """
    decisions = corrections.read(path)
    rows = decisions[decisions["kind"] == corrections.BOX]
    corners = {name: corrections.parse_box(text) for name, text in zip(rows["image_id"], rows["value"])}
    used = photos[(photos["status"] == "ok") & photos["image_id"].isin(corners)]
    sizes = dict(zip(used["image_id"], used[["width", "height"]].to_numpy(np.float64)))
    return {
        name: _inside(path, name, box, sizes[name])
        for name, box in corners.items()
        if box is not None and name in sizes
    }


def apply(table: pd.DataFrame, drawn: dict[str, np.ndarray], rule: CropSettings) -> pd.DataFrame:
    """data/boxes.csv with the drawn boxes, unless `rule` uses every photo whole."""
    if rule.mode == "full_image":
        return table
    is_drawn = table["image_id"].isin(drawn) & table["status"].isin(["ok", "dropped"])
    corners = np.full((len(table), 4), np.nan)
    corners[is_drawn.to_numpy()] = np.array([drawn[name] for name in table["image_id"][is_drawn]]).reshape(-1, 4)
    values: dict[str, object] = dict(zip(boxes.COLUMNS, corners.T))
    values |= {"status": "ok", "reason": "", "is_cropped": True, "score": 1.0, "class_name": crops.REVIEWED}
    values["runner_up_ratio"] = 0.0
    return table.assign(**{name: table[name].mask(is_drawn, value) for name, value in values.items()})


def _inside(path: Path, image_id: str, box: np.ndarray, size_wh: np.ndarray) -> np.ndarray:
    if (box[2:] > size_wh + _TOLERANCE).any():
        width, height = size_wh.astype(int)
        raise TableError(
            f"{path}: photo {image_id}: expected a box inside its {width} x {height} pixels, found "
            f"`{corrections.format_box(box)}`; draw it again"
        )
    return np.minimum(box, np.tile(size_wh, 2))
