"""data/corrections.csv: decisions of people on photos, sorted by image id and kind, kept in Git.

`git merge` joins the lines of two people (`merge=union` in .gitattributes), so equal decisions may stand twice.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from stages.core import tables
from stages.core.errors import TableError

COLUMNS = {
    "image_id": "str",  # that of data/manifest.csv: the hash of the photo's bytes
    "kind": "str",
    "value": "str",  # of `label` a class; of `box` its corners; else empty
    "who": "str",  # may be empty
    "when": "str",  # date and time in UTC, ISO 8601
    "shown": "str",  # why the photo was shown, such as `label_issue`
}
LABEL, DROP, NOT_A_CAR = "label", "drop", "not_a_car"  # the photo shows this class; is not used; shows none of them
BOX, NO_MASK = "box", "no_mask"  # the main car's box; the background is kept
# Decisions of one topic exclude each other.
TOPICS = {LABEL: "class", DROP: "class", NOT_A_CAR: "class", BOX: "box", NO_MASK: "mask"}
_CONFLICT = ("<<<<<<<", "=======", ">>>>>>>")


def read(path: Path) -> pd.DataFrame:
    """Read the decisions, each once, sorted. Raises TableError naming the first bad value.

    Two decisions on one topic of a photo that differ are an error.
    """
    frame = tables.read(path, COLUMNS)
    is_marker = frame["image_id"].str.startswith(_CONFLICT)
    tables.require(path, ~is_marker, frame["image_id"], "decisions of both sides of the merge, without markers")
    tables.require(path, frame["image_id"].str.fullmatch(r"[0-9a-f]{16}(-\d+)?"), frame["image_id"], "an image id")
    tables.require(path, frame["kind"].isin(TOPICS), frame["kind"], "one of " + ", ".join(TOPICS))
    is_label, is_box = frame["kind"] == LABEL, frame["kind"] == BOX
    tables.require(path, (frame["value"] != "") | ~is_label, frame["value"], "the class of a `label`")
    is_empty = (frame["value"] == "") | is_label | is_box
    tables.require(path, is_empty, frame["value"], "nothing, for only `label` and `box` have a value")
    is_good = pd.Series(
        [kind != BOX or parse_box(text) is not None for kind, text in zip(frame["kind"], frame["value"])]
    )
    tables.require(
        path, is_good.astype(bool), frame["value"], "a box such as `10 20 300 200` (x_min y_min x_max y_max)"
    )
    return _without_conflicts(path, _sorted(frame).drop_duplicates(["image_id", "kind", "value"], ignore_index=True))


def write(path: Path, frame: pd.DataFrame) -> None:
    """Write decisions, sorted."""
    tables.write(path, _sorted(frame)[list(COLUMNS)])


def none() -> pd.DataFrame:
    """A table without a decision."""
    return pd.DataFrame(columns=list(COLUMNS), dtype=str)


def parse_box(text: str) -> np.ndarray | None:
    """The corners `(4,)` float64, `x_min, y_min, x_max, y_max` in pixels of the upright photo; None for other text."""
    try:
        corners = np.array([float(part) for part in text.split(" ")])
    except ValueError:
        return None
    is_box = (
        corners.shape == (4,) and np.isfinite(corners).all() and corners[0] < corners[2] and corners[1] < corners[3]
    )
    return corners if is_box and corners.min() >= 0 else None


def format_box(corners: np.ndarray) -> str:
    """The text of the corners `(4,)` of a box, in whole pixels."""
    return " ".join(str(round(float(value))) for value in corners)


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values(["image_id", "kind", "value", "when"], ignore_index=True)


def _without_conflicts(path: Path, frame: pd.DataFrame) -> pd.DataFrame:
    topics = frame["image_id"] + " " + frame["kind"].map(TOPICS)
    repeated = frame[topics.duplicated(keep=False)]
    if repeated.empty:
        return frame
    photo = repeated["image_id"].iloc[0]
    rows = frame[(frame["image_id"] == photo) & (topics == topics[repeated.index[0]])]
    found = " and ".join(
        f"`{f'{kind} {value}'.strip()}`{f' by {who}' if who else ''}"
        for kind, value, who in zip(rows["kind"], rows["value"], rows["who"])
    )
    raise TableError(f"{path}: photo {photo}: expected one decision, found {found}; delete one of the lines")
