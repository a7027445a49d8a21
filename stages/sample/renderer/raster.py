"""Triangles to pixels: a buffer of triangle numbers, then barycentric weights per pixel."""

from typing import NamedTuple

import cv2
import numpy as np

FloatArray = np.ndarray
IntArray = np.ndarray
Pixels = np.ndarray

_SHIFT = 4
_NEAR = 0.2


def facing(screen: FloatArray, triangles: IntArray) -> np.ndarray:
    """Which triangles (T,) face the camera with their outer side and are entirely in front of it.

    `screen` (V, 3) is x, y in pixels (y down) and depth in metres; the outer side is the one from which the
    corners run anticlockwise.
    """
    a, b, c = (screen[triangles[:, corner]] for corner in range(3))
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    near = np.minimum(np.minimum(a[:, 2], b[:, 2]), c[:, 2])
    return (area < -1e-9) & (near > _NEAR)


def triangle_ids(screen: FloatArray, triangles: IntArray, bias: FloatArray, size_wh: tuple[int, int]) -> np.ndarray:
    """The number of the visible triangle at each pixel, (H, W) int32, -1 for none.

    Painter's algorithm: far triangles first, by the mean depth of the corners plus `bias` (T,) in metres.
    Pixels that the outline passes through count as covered, so that neighbours leave no gaps.
    """
    ids = np.full((size_wh[1], size_wh[0]), -1, np.int32)
    visible = np.flatnonzero(facing(screen, triangles))
    depth = screen[triangles[visible], 2].mean(axis=1) + bias[visible]
    order = visible[np.argsort(-depth, kind="stable")]
    limit = 8 * max(size_wh)
    corners = np.clip(screen[triangles[order], :2] - 0.5, -limit, limit)
    fixed = np.round(corners * (1 << _SHIFT)).astype(np.int32)
    for number, polygon in zip(order.tolist(), fixed, strict=True):
        cv2.fillConvexPoly(ids, polygon, number, lineType=cv2.LINE_8, shift=_SHIFT)
    return ids


class Planes(NamedTuple):
    """Coefficients per triangle (T, 3 corners, 3): their product with [x, y, 1] is each corner's weight over its depth.

    x and y are relative to `origins` (T, 2), the first corners: small enough for float32.
    """

    coefficients: Pixels
    origins: Pixels


def planes(screen: FloatArray, triangles: IntArray) -> Planes:
    """The planes of projected triangles; `screen` (V, 3) is x, y in pixels and depth in metres."""
    corners = screen[triangles]
    offsets = corners[..., :2] - corners[:, :1, :2]
    matrix = np.concatenate([offsets, np.ones((*corners.shape[:2], 1))], axis=-1)
    a, b, c = matrix[:, 0], matrix[:, 1], matrix[:, 2]
    adjugate = np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], axis=1)
    determinant = np.einsum("ti,ti->t", a, adjugate[:, 0])
    scale = np.where(np.abs(determinant) < 1e-12, 1e-12, determinant)
    coefficients = adjugate / scale[:, None, None] / corners[..., 2:3]
    return Planes(coefficients.astype(np.float32), corners[:, 0, :2].astype(np.float32))


def barycentrics(flat: Planes, ids: IntArray, pixels: FloatArray) -> Pixels:
    """Perspective-correct weights (N, 3) float32 of the corners, summing to 1.

    `ids` (N,) are triangle numbers and `pixels` (N, 2) positions; weights of positions just outside a
    triangle are clipped to 0 or more, so nothing is extrapolated.
    """
    offsets = pixels.astype(np.float32) - flat.origins[ids]
    coefficients = flat.coefficients[ids]
    weights = coefficients[..., 0] * offsets[:, :1] + coefficients[..., 1] * offsets[:, 1:] + coefficients[..., 2]
    weights = np.maximum(weights, 0)
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), np.float32(1e-12))
    return weights


def interpolate(values: FloatArray, corners: IntArray, weights: np.ndarray) -> np.ndarray:
    """Vertex values (V, K) float32 mixed per pixel to (N, K); `corners` (N, 3) are vertex numbers."""
    mixed = values[corners[:, 0]] * weights[:, :1]
    mixed += values[corners[:, 1]] * weights[:, 1:2]
    mixed += values[corners[:, 2]] * weights[:, 2:]
    return mixed
