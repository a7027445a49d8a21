"""Combine the saliency maps of one crop into one mask: average, keep the car's region, decide whether to use it."""

from itertools import combinations
from typing import NamedTuple

import cv2
import numpy as np

from stages.images.overlap import mask_iou, upsample_map
from stages.mask.settings import MaskSettings

_HALF = 0.5
# A soft edge extends beyond the 50 % contour by up to this share of the crop's longer side.
_EDGE = 0.01


class Mask(NamedTuple):
    """The mask of one crop: `alpha` (H, W) uint8, 255 = wholly the car; `coverage` and `agreement` 0..1.

    `agreement` is the mean pairwise IoU of the segmenters' masks, None for a single segmenter; `regions` is the number
    of regions kept; `reason` says why the mask is not used, or is empty.
    """

    alpha: np.ndarray
    coverage: float
    agreement: float | None
    regions: int
    reason: str


def combine(maps: dict[str, np.ndarray], size_wh: tuple[int, int], rule: MaskSettings) -> Mask:
    """Make the mask of a crop of `size_wh` pixels from the maps `(side, side)` uint8 of the segmenters by name."""
    upsampled = {name: upsample_map(maps[name], size_wh) for name, weight in rule.weights.items() if weight}
    total = np.float32(sum(rule.weights[name] for name in upsampled))
    # Not np.tensordot: for so few maps its matrix product took most of this function's time.
    average = np.sum([np.float32(rule.weights[name]) / total * values for name, values in upsampled.items()], axis=0)
    alpha, regions = clean(average, rule.min_region)
    pairwise_iou = agreement([saliency_map >= _HALF for saliency_map in upsampled.values()])
    coverage = round(float(alpha.mean()) / 255, 4)
    return Mask(alpha, coverage, pairwise_iou, regions, rejection_reason(coverage, pairwise_iou, rule))


def agreement(masks: list[np.ndarray]) -> float | None:
    """The mean pairwise IoU, 0..1, of `(H, W)` bool masks; None for fewer than two."""
    if len(masks) < 2:
        return None
    pairs = list(combinations(masks, 2))
    return round(sum(mask_iou(a, b) for a, b in pairs) / len(pairs), 4)


def clean(alpha: np.ndarray, min_region: float) -> tuple[np.ndarray, int]:
    """Keep the car's region of a soft mask `(H, W)` float32 and fill its holes; also return the number of regions kept.

    Returns `(H, W)` uint8. The largest region is the car's. Another one is kept if it has `min_region` of the largest
    one's area and does not touch the border of the crop: a post in front of the car splits it into parts, whereas a
    region at the border is another object. Edges stay as soft as they were.
    """
    solid = (alpha >= _HALF).astype(np.uint8)
    contours, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return np.zeros(alpha.shape, np.uint8), 0
    areas = np.array([cv2.contourArea(contour) for contour in contours])
    min_area = areas.max() * min_region
    kept = [c for c, area in zip(contours, areas) if area == areas.max() or (area >= min_area and _is_inside(c, alpha))]
    filled = cv2.drawContours(np.zeros_like(solid), kept, -1, 1, cv2.FILLED)
    radius = max(1, round(_EDGE * max(alpha.shape)))
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    near = cv2.dilate(filled, ellipse)
    # Holes become car in the core only: the edge of the region stays soft.
    core = cv2.erode(filled, ellipse)
    soft = np.where(core == 1, 1.0, alpha * near)
    return (soft * 255).round().astype(np.uint8), len(kept)


def _is_inside(contour: np.ndarray, alpha: np.ndarray) -> bool:
    """Whether a region, given by its contour, does not touch the border of the crop."""
    x, y, width, height = cv2.boundingRect(contour)
    return x > 0 and y > 0 and x + width < alpha.shape[1] and y + height < alpha.shape[0]


def rejection_reason(coverage: float, pairwise_iou: float | None, rule: MaskSettings) -> str:
    """Why a mask is not used, or empty if it is.

    `mask_too_small`, `mask_too_large`: it covers less or more of the crop than allowed. `masks_disagree`: the
    segmenters' masks overlap less than required.
    """
    if coverage < rule.min_coverage:
        return "mask_too_small"
    if coverage > rule.max_coverage:
        return "mask_too_large"
    return "masks_disagree" if pairwise_iou is not None and pairwise_iou < rule.min_agreement else ""
