"""Rows of a listed source, one for each labelled object, and what is common to annotated layouts."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from stages.core.errors import UserError
from stages.images.images import ImageError

# Reads the file at a path relative to the source's root. Raises images.ImageError.
ReadBytes = Callable[[str], bytes]

# Text is kept by Python: Arrow's strings hold no bytes that are not UTF-8, and file names may have them.
TEXT = pd.StringDtype("python", na_value=np.nan)
BOX = ["x_min", "y_min", "x_max", "y_max"]
_DEFAULTS: dict[str, str | float | int] = {
    "path": "",  # relative to the source's root, with forward slashes
    "label": "",
    "split": "",  # train | val | test, empty where the layout gives none
    "group": "",
    "origin": "",  # such as a dealer, a website or a photographer
    "time": np.nan,  # a number, or seconds of a date; NaN where none is given
    **dict.fromkeys(BOX, np.nan),  # pixels, right and bottom exclusive; NaN where there is no box
    "annotated_width": 0,  # of the photo in pixels, as the annotation declares it; 0 where it does not
    "annotated_height": 0,
    "reason": "",  # why the row cannot be used
}
COLUMNS = {name: type(default).__name__ for name, default in _DEFAULTS.items()}
_DTYPES: dict[str, Any] = {"str": TEXT, "float": "float64", "int": "int64"}
_MAX_SIZE = 1e9
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


class LayoutError(UserError):
    """The annotations of a source cannot be read, or could mean two things."""


def rows(records: Iterable[Mapping[str, object]]) -> pd.DataFrame:
    """Return a table with all COLUMNS from records that may lack any of them; other keys are left out."""
    known = list(records)
    values = {name: [record.get(name, default) for record in known] for name, default in _DEFAULTS.items()}
    return from_columns(values, len(known))


def from_columns(columns: Mapping[str, Sequence[Any] | np.ndarray], n: int) -> pd.DataFrame:
    """Return a table of `n` rows with all COLUMNS, of which any may be absent from `columns`."""
    values = {name: columns.get(name, default) for name, default in _DEFAULTS.items()}
    index = pd.RangeIndex(n)
    made = {name: pd.Series(values[name], index, _DTYPES[kind]) for name, kind in COLUMNS.items()}
    return pd.DataFrame(made, index, copy=False)


def load(read_bytes: ReadBytes, path: str) -> bytes:
    """Read a file of annotations. Raises LayoutError with the reason why it cannot be read."""
    try:
        return read_bytes(path)
    except ImageError as error:
        raise LayoutError(f"{path}: expected a readable file of annotations, found {error}") from None


def split_of(name: str) -> str | None:
    """Return the split that a folder or a value means (`Validation` is val), or None."""
    return SPLIT_NAMES.get(name.strip().casefold())


def split_folder(path: str) -> str:
    """Return the split that the first folder of `path` means, or an empty text."""
    first, slash, _ = path.partition("/")
    return (split_of(first) or "") if slash else ""


def box_of_xywh(values: object) -> dict[str, object]:
    """Return corners and reason of a box `[x, y, width, height]` in pixels.

    The reason is `bad_box` for a box without area, or for anything but four finite numbers, which has no corners.
    """
    if not isinstance(values, list | tuple | np.ndarray):
        return {"reason": "bad_box"}
    try:
        x, y, width, height = map(_number, values)
    except (TypeError, ValueError, OverflowError):
        return {"reason": "bad_box"}
    return box_of_corners(x, y, x + width, y + height)


def box_of_corners(x_min: float, y_min: float, x_max: float, y_max: float) -> dict[str, object]:
    """Return a box in pixels, right and bottom exclusive, with its reason: `bad_box` for a box without area.

    A box with a corner that is infinite or NaN has the reason only.
    """
    corners = (x_min, y_min, x_max, y_max)
    if not all(map(math.isfinite, corners)):
        return {"reason": "bad_box"}
    return {**dict(zip(BOX, corners)), "reason": "" if x_max > x_min and y_max > y_min else "bad_box"}


def _number(value: object) -> float:
    if isinstance(value, bool):
        raise TypeError
    return float(value)  # type: ignore[arg-type]


def declared_size(value: object) -> int:
    """Return the width or height in pixels that an annotation declares; 0 for what is no size."""
    try:
        number = _number(value)
    except (TypeError, ValueError, OverflowError):
        return 0
    return int(number) if 0 < number < _MAX_SIZE else 0


def finish(frame: pd.DataFrame, unlisted: Iterable[str] = (), labelled: bool = True) -> pd.DataFrame:
    """Complete the rows of a layout: reasons of unlabelled and repeated objects, and a row for each unlisted file.

    Objects without a label get the reason `no_label`, if the source is `labelled`. Of objects with equal path, label
    and box the first is kept, and the others get `duplicate_box`. Equal boxes with different labels all get
    `conflicting_labels`. Files that no annotation names get `not_listed`. Rows that have a reason keep it.
    """
    others = rows({"path": path, "reason": "not_listed"} for path in unlisted)
    lacks_label = (frame["label"] == "") & labelled
    reason = frame["reason"].mask((frame["reason"] == "") & lacks_label, "no_label")
    boxed = frame.loc[(reason == "") & frame["x_min"].notna(), ["path", *BOX, "label"]]
    repeated = boxed.duplicated()
    differing = boxed[~repeated].duplicated(["path", *BOX], keep=False)
    reason.loc[repeated[repeated].index] = "duplicate_box"
    conflicts = boxed.loc[differing[differing].index, ["path", *BOX]]
    same = pd.MultiIndex.from_frame(boxed[["path", *BOX]]).isin(pd.MultiIndex.from_frame(conflicts))
    reason.loc[boxed.index[same]] = "conflicting_labels"
    return pd.concat([frame.assign(reason=reason), others], ignore_index=True)
