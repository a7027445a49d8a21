"""The map of photos: each a point, near others that the features of an untrained network find alike."""

import math
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.spatial import KDTree

from stages.core import progress
from stages.images.letterbox import letterbox
from stages.report import class_tables
from stages.report.class_tables import ShownRows
from stages.report.pictures import ThumbnailStore, data_uri
from stages.report.report_data import ReportData

# Width of the drawing between its margins, in units of its view box of 1000; side of a photo, in pixels.
_SPAN, _MARGIN = 968, 16
_TILE = 64
_GREY = (127, 127, 127)
_NEIGHBOURS = 5
# Classes with a name beside their colour.
_MAX_LEGEND = 15
_LIGHTNESS = (38, 52, 66)


class MapPoint(NamedTuple):
    """A photo at `x`, `y` of the drawing; `issue` says why it is ringed, or is empty."""

    x: float
    y: float
    label: str
    split: str
    outcome: str
    path: str
    issue: str
    colour: str


class Neighbourhood(NamedTuple):
    """What lies beside the photos of a class: `own` of `total` neighbours are of the class, `other` is the next one."""

    label: str
    own: int
    total: int
    other: str
    times: int


@dataclass(frozen=True)
class PhotoMap:
    """Points by class and split of `n_photos` photos; `tiles` holds their crops in this order, `columns` in a row."""

    model: str
    points: tuple[MapPoint, ...]
    n_photos: int
    height: int
    tiles: str
    columns: int
    tile: int
    legend: dict[str, str]
    neighbourhoods: ShownRows[Neighbourhood]

    @property
    def n_issues(self) -> int:
        """The number of ringed points."""
        return sum(bool(point.issue) for point in self.points)


def build(data: ReportData, store: ThumbnailStore) -> PhotoMap:
    """The map of the model with the largest weight, with crops from `store`."""
    used = data.rows[data.rows["status"] == "ok"]
    rows = used.merge(data.places, on="image_id").sort_values(["label", "image_id"], kind="stable")
    colours = class_colours(data.predicted.classes)
    doubtful = data.issues[data.issues["kind"] == "label_issue"]
    places = rows[["x", "y"]].to_numpy(dtype=np.float64)
    places = places - [0, places[:, 1].min(initial=1)]
    columns = max(1, math.ceil(math.sqrt(len(rows))))
    return PhotoMap(
        model=data.map_model,
        points=_points(rows, places, dict(zip(doubtful["image_id"], doubtful["suggested_label"])), colours),
        n_photos=len(used),
        height=round(2 * _MARGIN + _SPAN * places[:, 1].max(initial=0)),
        tiles=data_uri(_tiles(rows["image_id"].tolist(), columns, store)),
        columns=columns,
        tile=_TILE,
        legend=colours if len(colours) <= _MAX_LEGEND else {},
        neighbourhoods=class_tables.shown_rows(neighbourhoods(rows)),
    )


def _points(
    rows: pd.DataFrame, places: np.ndarray, doubtful: dict[str, str], colours: dict[str, str]
) -> tuple[MapPoint, ...]:
    """The points of photos at `places` `(N, 2)` in 0..1; `doubtful` has the suggested label of label issues."""
    facts = rows[["label", "split", "outcome", "path", "image_id"]].to_numpy(dtype=object).tolist()
    points = []
    for (x, y), (label, split, outcome, path, image_id) in zip((_MARGIN + _SPAN * places).round(1).tolist(), facts):
        issue = f"label issue, suggested label: {doubtful[image_id]}" if image_id in doubtful else ""
        points.append(MapPoint(x, y, label, split, outcome, path, issue, colours[label]))
    return tuple(points)


def class_colours(classes: list[str]) -> dict[str, str]:
    """A colour of CSS for each class: hues once around the circle, so that classes beside each other have like ones."""
    step = 360 / max(len(classes), 1)
    return {
        name: f"hsl({step * number:.0f} 70% {_LIGHTNESS[number % len(_LIGHTNESS)]}%)"
        for number, name in enumerate(classes)
    }


def neighbourhoods(rows: pd.DataFrame) -> list[Neighbourhood]:
    """The classes of the five nearest points (`x`, `y`) of the photos of each `label`, the least of its own first."""
    labels = rows["label"].tolist()
    if len(labels) < 2:
        return []
    places = rows[["x", "y"]].to_numpy(dtype=np.float64)
    nearest = KDTree(places).query(places, k=min(_NEIGHBOURS + 1, len(labels)))[1]
    beside: dict[str, Counter[str]] = {label: Counter() for label in labels}
    for number, others in enumerate(nearest.tolist()):
        # Of points at one place, the first need not be the photo itself.
        beside[labels[number]].update(labels[n] for n in [n for n in others if n != number][:_NEIGHBOURS])
    found = [_neighbourhood(label, counts) for label, counts in beside.items()]
    return sorted(found, key=lambda one: (one.own / one.total, one.label))


def _neighbourhood(label: str, counts: Counter[str]) -> Neighbourhood:
    others = sorted((-times, name) for name, times in counts.items() if name != label)
    times, other = others[0] if others else (0, "")
    return Neighbourhood(label, counts[label], counts.total(), other, -times)


def _tiles(image_ids: list[str], columns: int, store: ThumbnailStore) -> np.ndarray:
    """The crops, padded to squares, in rows of `columns`: `(H, W, 3)` uint8 RGB; a missing one is grey."""
    side = max(1, math.ceil(len(image_ids) / columns))
    sheet = np.full((side * _TILE, columns * _TILE, 3), _GREY, np.uint8)
    for number, image_id in enumerate(progress.track(image_ids, len(image_ids), "photo", "report map")):
        image = store.crop(image_id).image
        if image is not None:
            row, column = (_TILE * n for n in divmod(number, columns))
            sheet[row : row + _TILE, column : column + _TILE] = letterbox(image, (_TILE, _TILE), _GREY)
    return sheet
