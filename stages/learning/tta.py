"""Several views of a photo answered and averaged at test time, more of them where the first ones disagree.

The views are a fixed list in a fixed order, and every one is applied to the full: nothing is drawn by lot, so the same
photo gets the same answer, whatever other photos there are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import cv2
import numpy as np

from stages.records.params import Range, Share

# Answers (n, C) for the view of a number, of the photos at n places.
Ask = Callable[[int, np.ndarray], np.ndarray]


class View(NamedTuple):
    """A way to look at a photo: mirrored, magnified (above 1 the middle of it), turned to the left in degrees."""

    flip: bool = False
    zoom: float = 1.0
    turn: float = 0.0


VIEWS = (
    View(),
    View(flip=True),
    View(zoom=1.1),
    View(flip=True, zoom=1.1),
    View(turn=4),
    View(flip=True, turn=4),
    View(zoom=0.9),
    View(flip=True, zoom=0.9),
)
_STEP = 2


@dataclass(frozen=True)
class TtaParams:
    """Section `tta`: how many of the views each photo gets.

    `none` is the first alone, the photo as it is; `fixed` the `first` ones; `adaptive` as many, and two more at a time
    up to `cap`, as long as less than a share `agreement` of a photo's views name the same class.
    """

    mode: Literal["none", "fixed", "adaptive"] = "adaptive"
    first: Annotated[int, Range(1, len(VIEWS))] = 2
    cap: Annotated[int, Range(1, len(VIEWS))] = 6
    agreement: Share = 0.75


class Answers(NamedTuple):
    """`probabilities` (N, C) float64, the means over the views of each photo, and how many `views` (N,) those were."""

    probabilities: np.ndarray
    views: np.ndarray


def look(photos: np.ndarray, view: View) -> np.ndarray:
    """Return RGB uint8 `photos` (N, H, W, 3) as `view` shows them; edge pixels are repeated outwards."""
    if view.flip:
        photos = photos[:, :, ::-1]
    if (view.zoom, view.turn) != (1.0, 0.0):
        height, width = photos.shape[1:3]
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), view.turn, view.zoom)
        warped = [cv2.warpAffine(photo, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE) for photo in photos]
        photos = np.stack(warped) if warped else photos
    return np.ascontiguousarray(photos)


def most(params: TtaParams) -> int:
    """Return how many views a photo may get."""
    return {"none": 1, "fixed": params.first, "adaptive": max(params.first, params.cap)}[params.mode]


def answer(ask: Ask, n_photos: int, params: TtaParams) -> Answers:
    """Answer `n_photos` photos by as few views as will do, all open ones at a time."""
    chosen = np.arange(n_photos)
    total = np.array(ask(0, chosen), dtype=np.float64)
    votes, views = _votes(total), np.ones(n_photos, dtype=int)
    for number in range(1, most(params)):
        if number >= params.first and (number - params.first) % _STEP == 0:
            chosen = np.flatnonzero(votes.max(axis=1) < params.agreement * views)
        if not len(chosen):
            break
        rows = ask(number, chosen)
        total[chosen] += rows
        votes[chosen] += _votes(rows)
        views[chosen] += 1
    return Answers(total / views[:, None], views)


def _votes(rows: np.ndarray) -> np.ndarray:
    """One (N, C) for the class that each row names, nought for the others."""
    return np.eye(rows.shape[1], dtype=int)[rows.argmax(axis=1)]


def known(rows: np.ndarray) -> Ask:
    """Return what asks for answers that are there already, `rows` (V, N, C) of V views."""
    return lambda number, chosen: rows[number, chosen]
