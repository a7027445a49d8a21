"""Images of a gallery: thumbnails embedded in the page, with boxes over them; a text in place of a missing image."""

import base64
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import cv2
import numpy as np
import pandas as pd

from stages.report.report_data import CORNERS

_WEBP_QUALITY = 80
# Of a box label inside a thumbnail, in pixels.
_CHARACTER_WIDTH, _LINE_HEIGHT = 6.0, 10.0


class Thumbnail(NamedTuple):
    """A thumbnail `(H, W, 3)` uint8 RGB, or None and the `reason` why there is none."""

    image: np.ndarray | None
    reason: str


class ThumbnailStore(Protocol):
    """The source of thumbnails; a missing file gives a Thumbnail without an image, never an error."""

    def photo(self, path: str, image_id: str, split: str) -> Thumbnail:
        """The photo at `path` of the source of its split, if its hash is `image_id` or `image_id` is empty."""

    def crop(self, image_id: str) -> Thumbnail:
        """The crop of the photo."""

    def tinted(self, image_id: str) -> Thumbnail:
        """The crop with its background, where the mask is 0, mixed half with one colour."""

    def masked(self, image_id: str) -> Thumbnail:
        """The crop with its background, where the mask is 0, in one colour."""

    def model_inputs(self, image_id: str) -> dict[str, Thumbnail]:
        """What the models see, by a caption that names the input where there are several."""


class HeatMapStore(Protocol):
    """The source of heat maps; one that cannot be drawn is a Thumbnail without an image."""

    def of(self, row: pd.Series, label: str) -> list[Thumbnail]:
        """Where the models looked for a class on the photo with the `image_id`, `path` and `split` of a row."""


class Box(NamedTuple):
    """A box in pixels of the thumbnail; `label` is its score, or empty where it would overlap another label.

    `label_x` is the left end of the label, `label_y` its baseline.
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
    """One image of a card; sizes in pixels. `uri` is empty if it is missing, for the `reason`."""

    uri: str
    reason: str
    alt: str
    width: int = 0
    height: int = 0
    boxes: tuple[Box, ...] = ()


def gallery_image(thumbnail: Thumbnail, alt: str, boxes: tuple[Box, ...] = ()) -> GalleryImage:
    """Return a thumbnail as an image embedded in the page; `alt` is its text alternative."""
    if thumbnail.image is None:
        return GalleryImage("", thumbnail.reason, alt)
    height, width = thumbnail.image.shape[:2]
    return GalleryImage(data_uri(thumbnail.image), "", alt, width, height, boxes)


def data_uri(image: np.ndarray) -> str:
    """Encode `(H, W, 3)` uint8 RGB as a WebP in a data URI; equal images give equal text."""
    options = [cv2.IMWRITE_WEBP_QUALITY, _WEBP_QUALITY]
    done, content = cv2.imencode(".webp", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError(f"expected (H, W, 3) uint8, found {image.dtype} {image.shape}")
    return "data:image/webp;base64," + base64.b64encode(content.tobytes()).decode("ascii")


def thumbnail_boxes(detections: pd.DataFrame, photo: pd.Series, thumbnail: Thumbnail) -> tuple[Box, ...]:
    """The boxes of a photo (rows of data/detections.csv) on its thumbnail, the chosen one last.

    Labels are placed in descending order of score; one that would overlap an earlier one is left out.
    """
    if thumbnail.image is None or detections.empty:
        return ()
    size_wh = thumbnail.image.shape[1], thumbnail.image.shape[0]
    scale = np.array([size_wh[0] / photo["width"], size_wh[1] / photo["height"]] * 2)
    corners = (detections[CORNERS].to_numpy() * scale).round(1)
    scores, is_chosen = detections["score"].to_numpy(), is_chosen_box(detections, photo)
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


def is_chosen_box(detections: pd.DataFrame, photo: pd.Series) -> np.ndarray:
    """Which of the photo's `detections` is the chosen box: `(N,)` bool, all False if none is chosen."""
    if not photo["is_cropped"]:
        return np.zeros(len(detections), dtype=bool)
    columns = [*CORNERS, "score", "class_name"]
    return (detections[columns] == photo[columns]).all(axis=1).to_numpy()


class _Labels:
    """Places labels inside an image of `size_wh` pixels without overlap."""

    def __init__(self, size_wh: tuple[int, int]) -> None:
        self._size_wh = size_wh
        self._taken: list[tuple[float, float, float]] = []

    def place(self, text: str, x: float, y: float) -> tuple[str, float, float]:
        """The text, its left end and baseline; an empty text if it would overlap another label."""
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
