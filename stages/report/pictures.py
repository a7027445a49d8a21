"""Pictures of a gallery: small, inside the page, with boxes drawn over them and a text in place of a lost one."""

import base64
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import pandas as pd

from stages.report.report_data import CORNERS

_WEBP_QUALITY = 80
# Of a label inside a thumbnail, in pixels.
_CHARACTER_WIDTH, _LINE_HEIGHT = 6.0, 10.0


class Thumbnail(NamedTuple):
    """A thumbnail `(H, W, 3)` uint8 RGB, or None and the `reason` why there is none."""

    image: np.ndarray | None
    reason: str


class ThumbnailStore(Protocol):
    """Where galleries get their thumbnails from; a lost file gives a Look without a picture, never an error."""

    def photo(self, path: str, image_id: str) -> Thumbnail:
        """The whole photo at `path` of the source, if its bytes are those of `image_id` (or that is empty)."""

    def crop(self, image_id: str) -> Thumbnail:
        """The part of the photo that was cut out."""

    def tinted(self, image_id: str) -> Thumbnail:
        """The crop, half one colour wherever its mask is 0."""

    def masked(self, image_id: str) -> Thumbnail:
        """The crop with one colour wherever its mask is 0."""

    def padded(self, file: str) -> Thumbnail:
        """The picture that the models see."""


class Box(NamedTuple):
    """A box in pixels of the thumbnail; `label` is its score where there was room to write it, else empty.

    `label_x` is the left end of the label, `label_y` its base line.
    """

    x: float
    y: float
    width: float
    height: float
    is_chosen: bool
    label: str
    label_x: float
    label_y: float


@dataclass(frozen=True)
class GalleryImage:
    """One picture of a card: `uri` empty where it is lost, for the `reason`; sizes in pixels."""

    uri: str
    reason: str
    alt: str
    width: int = 0
    height: int = 0
    boxes: tuple[Box, ...] = ()


def gallery_image(look: Thumbnail, alt: str, boxes: tuple[Box, ...] = ()) -> GalleryImage:
    """Make a picture that stands in the page itself; `alt` says in words what it shows."""
    if look.image is None:
        return GalleryImage("", look.reason, alt)
    height, width = look.image.shape[:2]
    return GalleryImage(data_uri(look.image), "", alt, width, height, boxes)


def data_uri(image: np.ndarray) -> str:
    """Encode `(H, W, 3)` uint8 RGB as a WebP in a data URI; equal pictures give equal text."""
    options = [cv2.IMWRITE_WEBP_QUALITY, _WEBP_QUALITY]
    done, content = cv2.imencode(".webp", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError(f"expected (H, W, 3) uint8, found {image.dtype} {image.shape}")
    return "data:image/webp;base64," + base64.b64encode(content.tobytes()).decode("ascii")


def boxes_of(found: pd.DataFrame, photo: pd.Series, look: Thumbnail) -> tuple[Box, ...]:
    """The boxes of a photo (rows of data/detections.csv) on its thumbnail, the chosen one last.

    Scores are written from the best down, leaving out those that would cover one written before.
    """
    if look.image is None or found.empty:
        return ()
    size_wh = look.image.shape[1], look.image.shape[0]
    scale = np.array([size_wh[0] / photo["width"], size_wh[1] / photo["height"]] * 2)
    corners = (found[CORNERS].to_numpy() * scale).round(1)
    scores, is_chosen = found["score"].to_numpy(), is_chosen_box(found, photo)
    order = np.lexsort((-scores, ~is_chosen))
    labels = _Labels(size_wh)
    boxes = []
    for place in order.tolist():
        x_min, y_min, x_max, y_max = corners[place].tolist()
        label = labels.place(f"{scores[place]:.2f}", x_min, y_min)
        boxes.append(
            Box(x_min, y_min, round(x_max - x_min, 1), round(y_max - y_min, 1), bool(is_chosen[place]), *label)
        )
    return tuple(reversed(boxes))


def is_chosen_box(found: pd.DataFrame, photo: pd.Series) -> np.ndarray:
    """Which of the boxes `found` is the photo's chosen one: `(N,)` bool, all False where none was chosen."""
    if not photo["is_cropped"]:
        return np.zeros(len(found), dtype=bool)
    columns = [*CORNERS, "score", "class_name"]
    return (found[columns] == photo[columns]).all(axis=1).to_numpy()


class _Labels:
    """Finds room for labels inside a picture of `size_wh` pixels, none over another."""

    def __init__(self, size_wh: tuple[int, int]) -> None:
        self._size_wh = size_wh
        self._taken: list[tuple[float, float, float]] = []

    def place(self, text: str, x: float, y: float) -> tuple[str, float, float]:
        """The text, its left end and base line; an empty text where another label is in the way."""
        width = _CHARACTER_WIDTH * len(text)
        left = round(max(0.0, min(x + 2, self._size_wh[0] - width)), 1)
        base = round(max(0.0, min(y + _LINE_HEIGHT, self._size_wh[1] - 2)), 1)
        if any(
            abs(base - other) < _LINE_HEIGHT and left < end and start < left + width
            for start, end, other in self._taken
        ):
            return "", left, base
        self._taken.append((left, left + width, base))
        return text, left, base
