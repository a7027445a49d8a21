"""One photo at each stage of the pipeline as a strip of images: photo, boxes, crop, mask, model input."""

from collections.abc import Mapping

import cv2
import numpy as np
import pandas as pd

from stages.core.batches import batched
from stages.images import boxes, letterbox
from stages.report.sampling import sample

HEIGHT_PX, _GAP_PX, _CAPTION_PX = 200, 8, 24
_PER_ROW = 4
_WHITE, _INK, _CHOSEN, _OTHER = (255, 255, 255), (60, 60, 60), (224, 138, 60), (74, 134, 197)


def example(rows: pd.DataFrame, seed: int) -> pd.Series | None:
    """Choose a photo whose car was cropped and masked; None where there is none."""
    usable = rows[(rows["status"] == "ok") & rows["is_cropped"] & rows["is_masked"]]
    return sample(usable, 1, seed).iloc[0] if len(usable) else None


def with_boxes(image: np.ndarray, photo: pd.Series, detections: pd.DataFrame) -> np.ndarray:
    """Draw a photo's `detections` thin and its chosen box thick on its thumbnail `(H, W, 3)` uint8 RGB."""
    drawn = np.ascontiguousarray(image.copy())
    scale = np.array([image.shape[1] / photo["width"], image.shape[0] / photo["height"]] * 2)
    chosen = photo[boxes.COLUMNS].to_numpy(dtype=np.float64)
    for corners in detections[boxes.COLUMNS].to_numpy(dtype=np.float64):
        _rectangle(drawn, corners * scale, _OTHER, 1)
    _rectangle(drawn, chosen * scale, _CHOSEN, 3)
    return drawn


def _rectangle(image: np.ndarray, corners: np.ndarray, colour: tuple[int, int, int], thickness: int) -> None:
    x_min, y_min, x_max, y_max = corners.round().astype(int).tolist()
    cv2.rectangle(image, (x_min, y_min), (x_max, y_max), colour, thickness, cv2.LINE_AA)


def draw(images: Mapping[str, np.ndarray]) -> np.ndarray:
    """Set `(H, W, 3)` uint8 RGB images side by side at one height on white, four in a row, each above its caption."""
    columns = []
    for caption, image in images.items():
        width = max(1, round(image.shape[1] * HEIGHT_PX / image.shape[0]))
        column = np.full((HEIGHT_PX + _CAPTION_PX, width + _GAP_PX, 3), _WHITE, np.uint8)
        column[:HEIGHT_PX, :width] = letterbox.resize(image, width, HEIGHT_PX)
        place = (2, HEIGHT_PX + _CAPTION_PX - 7)
        cv2.putText(column, caption, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, _INK, 1, cv2.LINE_AA)
        columns.append(column)
    rows = [np.concatenate(row, axis=1)[:, :-_GAP_PX] for row in batched(columns, _PER_ROW)]
    width = max(row.shape[1] for row in rows)
    filled = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=_WHITE[0]) for row in rows]
    return np.concatenate(filled)
