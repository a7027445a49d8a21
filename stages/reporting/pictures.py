"""Pictures of a gallery: small, inside the page, with boxes drawn over them and a text in place of a lost one."""

import base64
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import pandas as pd

from stages.reporting.evidence import CORNERS

_WEBP_QUALITY = 80
# Of a label inside a thumbnail, in pixels.
_CHARACTER_WIDTH, _LINE_HEIGHT = 5.5, 10.0


class Look(NamedTuple):
    """A thumbnail `(H, W, 3)` uint8 RGB, or None and the `reason` why there is none."""

    image: np.ndarray | None
    reason: str


class Album(Protocol):
    """Where galleries get their thumbnails from; a lost file gives a Look without a picture, never an error."""

    def photo(self, path: str, image_id: str) -> Look:
        """The whole photo at `path` of the source, if its bytes are those of `image_id` (or that is empty)."""

    def crop(self, image_id: str) -> Look:
        """The part of the photo that was cut out."""

    def masked(self, image_id: str) -> Look:
        """The crop with one colour wherever its mask is 0."""

    def padded(self, file: str) -> Look:
        """The picture that the models see."""


class Box(NamedTuple):
    """A box in pixels of the thumbnail; `label` is its score where there was room to write it, else empty."""

    x: float
    y: float
    width: float
    height: float
    label: str
    is_chosen: bool


@dataclass(frozen=True)
class Shot:
    """One picture of a card: `uri` empty where it is lost, for the `reason`; sizes in pixels."""

    uri: str
    reason: str
    alt: str
    width: int = 0
    height: int = 0
    boxes: tuple[Box, ...] = ()


def shot(look: Look, alt: str, boxes: tuple[Box, ...] = ()) -> Shot:
    """Make a picture that stands in the page itself; `alt` says in words what it shows."""
    if look.image is None:
        return Shot("", look.reason, alt)
    height, width = look.image.shape[:2]
    return Shot(data_uri(look.image), "", alt, width, height, boxes)


def data_uri(image: np.ndarray) -> str:
    """Encode `(H, W, 3)` uint8 RGB as a WebP in a data URI; equal pictures give equal text."""
    options = [cv2.IMWRITE_WEBP_QUALITY, _WEBP_QUALITY]
    done, content = cv2.imencode(".webp", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError(f"expected (H, W, 3) uint8, found {image.dtype} {image.shape}")
    return "data:image/webp;base64," + base64.b64encode(content.tobytes()).decode("ascii")


def boxes_of(found: pd.DataFrame, photo: pd.Series, look: Look) -> tuple[Box, ...]:
    """The boxes of a photo (rows of data/detections.csv) on its thumbnail, the chosen one last.

    Scores are written from the best down, leaving out those that would cover one written before.
    """
    if look.image is None or found.empty:
        return ()
    scale = np.array([look.image.shape[1] / photo["width"], look.image.shape[0] / photo["height"]] * 2)
    is_chosen = is_chosen_box(found, photo)
    order = np.lexsort((-found["score"].to_numpy(), ~is_chosen))
    written: list[tuple[float, float, float]] = []
    boxes = []
    for place in order:
        x_min, y_min, x_max, y_max = (found[CORNERS].to_numpy()[place] * scale).round(1).tolist()
        label = _label(f"{found['score'].iloc[place]:.2f}", x_min, y_min, written)
        boxes.append(Box(x_min, y_min, round(x_max - x_min, 1), round(y_max - y_min, 1), label, bool(is_chosen[place])))
    return tuple(reversed(boxes))


def is_chosen_box(found: pd.DataFrame, photo: pd.Series) -> np.ndarray:
    """Which of the boxes `found` is the photo's chosen one: `(N,)` bool, all False where none was chosen."""
    if not photo["is_cropped"]:
        return np.zeros(len(found), dtype=bool)
    columns = [*CORNERS, "score", "class_name"]
    return (found[columns] == photo[columns]).all(axis=1).to_numpy()


def _label(text: str, x: float, y: float, written: list[tuple[float, float, float]]) -> str:
    width = _CHARACTER_WIDTH * len(text)
    if any(abs(y - top) < _LINE_HEIGHT and x < right and left < x + width for left, top, right in written):
        return ""
    written.append((x, y, x + width))
    return text
