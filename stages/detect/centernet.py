"""CenterNet's heads decoded to boxes (Zhou, Wang, Krähenbühl: Objects as Points, arXiv 1904.07850, section 4).

An object is a local maximum of its class's heat map; its extents are in a second map, in the same cell.
"""

from typing import NamedTuple

import numpy as np

_NEIGHBOURS = [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1) if (row, column) != (0, 0)]


class Detections(NamedTuple):
    """`boxes` (N, 4) float32 in input pixels, `scores` (N,) float32 0..1, `classes` (N,) int64; best first."""

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray


def peaks(heatmap: np.ndarray, top_k: int, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The cells that are the maximum of their 3x3 neighbours and score at least `threshold`, best first.

    `heatmap` is `(rows, columns, C)` float32 in 0..1. Returns rows, columns and classes, `(N,)` int64 each with
    N <= `top_k`; equal scores come in the order of class, row, column.
    """
    # Few cells reach the threshold, and only these are compared with their neighbours: a hundred classes take no longer
    # than one.
    cells = np.flatnonzero(heatmap >= threshold)
    for step in _NEIGHBOURS:
        rows, columns, classes = np.unravel_index(cells, heatmap.shape)
        near_rows, near_columns = (
            _shifted(rows, step[0], heatmap.shape[0]),
            _shifted(columns, step[1], heatmap.shape[1]),
        )
        cells = cells[heatmap[rows, columns, classes] >= heatmap[near_rows, near_columns, classes]]
    rows, columns, classes = np.unravel_index(cells, heatmap.shape)
    order = np.lexsort((columns, rows, classes, -heatmap[rows, columns, classes]))[:top_k]
    return rows[order], columns[order], classes[order]


def _shifted(indices: np.ndarray, step: int, size: int) -> np.ndarray:
    # At the border a cell is compared with itself in place of the neighbour that it lacks.
    return np.clip(indices + step, 0, size - 1)


def decode(heatmap: np.ndarray, extents: np.ndarray, stride: int, top_k: int, threshold: float) -> Detections:
    """Boxes of one image from a heat map `(rows, columns, C)` and its extents `(rows, columns, 4)`.

    The heat map is after the sigmoid. Extents are the distances from the cell's corner, at `stride` times
    (column, row), to the left, top, right and bottom side of the box in input pixels.
    """
    rows, columns, classes = peaks(heatmap, top_k, threshold)
    left, top, right, bottom = np.moveaxis(extents[rows, columns], -1, 0)
    x, y = (stride * columns).astype(np.float32), (stride * rows).astype(np.float32)
    corners = np.stack([x - left, y - top, x + right, y + bottom], axis=-1)
    # The head is linear: an extent below zero would make the box's right or bottom side lie before the other.
    corners[:, 2:] = np.maximum(corners[:, 2:], corners[:, :2])
    return Detections(corners, heatmap[rows, columns, classes], classes)


def unmirrored(extents: np.ndarray, stride: int) -> np.ndarray:
    """The extents `(..., columns, 4)` of an image from those of its mirror image.

    Left and right are exchanged, and so are the cells. A cell's corner is its left one in both images, so that the two
    corners lie one cell apart.
    """
    left, top, right, bottom = np.moveaxis(extents[..., ::-1, :], -1, 0)
    return np.stack([right - stride, top, left + stride, bottom], axis=-1)
