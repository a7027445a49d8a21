"""Several soft maps of one crop made into one mask: averaged, the car's own region kept, and judged."""

from itertools import combinations
from typing import NamedTuple

import cv2
import numpy as np

from stages.images.overlap import mask_iou, upsample_map
from stages.mask.settings import MaskSettings

_HALF = 0.5
# A soft edge reaches a few pixels beyond the half-way line; for a crop of 1000 pixels, this share of them.
_EDGE = 0.01


class Mask(NamedTuple):
    """`alpha` (H, W) uint8, 255 = wholly the car; shares of 0..1; `regions` besides specks; `reason` or empty.

    `agreement` is None where a single segmenter leaves nothing to compare.
    """

    alpha: np.ndarray
    coverage: float
    agreement: float | None
    regions: int
    reason: str


def combine(maps: dict[str, np.ndarray], size_wh: tuple[int, int], rule: MaskSettings) -> Mask:
    """Make the mask of a crop of `size_wh` pixels from the maps `(side, side)` uint8 of the segmenters by name."""
    planes = {name: upsample_map(maps[name], size_wh) for name, weight in rule.weights.items() if weight}
    weights = np.array([rule.weights[name] for name in planes], dtype=np.float32)
    alpha, regions = clean(np.tensordot(weights / weights.sum(), np.stack(list(planes.values())), 1), rule.min_region)
    agreed = agreement([plane >= _HALF for plane in planes.values()])
    share = round(float(alpha.mean()) / 255, 4)
    return Mask(alpha, share, agreed, regions, rejection_reason(share, agreed, rule))


def agreement(masks: list[np.ndarray]) -> float | None:
    """The mean overlap (IoU, 0..1) of `(H, W)` bool masks, two by two; None for fewer than two."""
    if len(masks) < 2:
        return None
    pairs = list(combinations(masks, 2))
    return round(sum(mask_iou(a, b) for a, b in pairs) / len(pairs), 4)


def clean(alpha: np.ndarray, min_region: float) -> tuple[np.ndarray, int]:
    """Keep the car's own region of a soft mask `(H, W)` float32, holes closed; also the number of regions kept.

    Returns `(H, W)` uint8. The car's is the region with the most area; other regions stay if they have
    `min_region` of that and do not touch the border of the crop: a post before the car cuts it into parts, whereas
    what reaches in from outside is another thing. Edges stay as soft as they were.
    """
    solid = (alpha >= _HALF).astype(np.uint8)
    outer, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not outer:
        return np.zeros(alpha.shape, np.uint8), 0
    areas = np.array([cv2.contourArea(contour) for contour in outer])
    own = [
        c for c, area in zip(outer, areas) if area == areas.max() or _belongs(c, area, areas.max() * min_region, alpha)
    ]
    filled = cv2.drawContours(np.zeros_like(solid), own, -1, 1, cv2.FILLED)
    reach = max(1, round(_EDGE * max(alpha.shape)))
    near = cv2.dilate(filled, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)))
    # Inside, holes count as car, but the soft rim of the region stays soft.
    core = cv2.erode(filled, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)))
    soft = np.where(core == 1, 1.0, alpha * near)
    return (soft * 255).round().astype(np.uint8), len(own)


def _belongs(contour: np.ndarray, area: float, least: float, alpha: np.ndarray) -> bool:
    """Whether a region (its outline) is a part of the car beside the largest one."""
    x, y, width, height = cv2.boundingRect(contour)
    is_inside = x > 0 and y > 0 and x + width < alpha.shape[1] and y + height < alpha.shape[0]
    return is_inside and area >= least


def rejection_reason(coverage: float, agreed: float | None, rule: MaskSettings) -> str:
    """Why a mask is not to be used, or empty if it is.

    `mask_too_small`, `mask_too_large`: it covers less or more of the crop than allowed. `masks_disagree`: the
    segmenters do not say the same.
    """
    if coverage < rule.min_coverage:
        return "mask_too_small"
    if coverage > rule.max_coverage:
        return "mask_too_large"
    return "masks_disagree" if agreed is not None and agreed < rule.min_agreement else ""
