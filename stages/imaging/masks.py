"""Several soft maps of one crop made into one mask: averaged, the car's own region kept, and judged."""

from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, NamedTuple

import cv2
import numpy as np

from stages.records import params

_HALF = 0.5
# A soft edge reaches a few pixels beyond the half-way line; for a crop of 1000 pixels, this share of them.
_EDGE = 0.01


@dataclass(frozen=True)
class MaskParams:
    """How the maps of all segmenters become one mask, and when it is not believed.

    `weights`: one for each segmenter, by name; they need not sum to one. Regions of less than `min_region` of the
    largest one's area are specks. The whole crop is used where the segmenters agree by less than `min_agreement`
    (mean IoU of their masks, two by two), or the mask covers less than `min_coverage` or more than `max_coverage`
    of the crop.
    """

    weights: dict[str, Annotated[float, params.Range(0)]]
    min_region: params.Share
    min_agreement: params.Share
    min_coverage: params.Share
    max_coverage: params.Share

    def __post_init__(self) -> None:
        """Refuse limits that no mask can meet, and weights that all are nought."""
        if self.min_coverage > self.max_coverage:
            raise params.ParamError(
                f"mask.min_coverage: expected at most max_coverage = {self.max_coverage}, found {self.min_coverage}"
            )
        if not sum(self.weights.values()):
            raise params.ParamError(f"mask.weights: expected one above 0 or more, found {self.weights}")


class Mask(NamedTuple):
    """`alpha` (H, W) uint8, 255 = wholly the car; shares of 0..1; `regions` besides specks; `reason` or empty.

    `agreement` is None where a single segmenter leaves nothing to compare.
    """

    alpha: np.ndarray
    coverage: float
    agreement: float | None
    regions: int
    reason: str


def combine(maps: dict[str, np.ndarray], size_wh: tuple[int, int], rule: MaskParams) -> Mask:
    """Make the mask of a crop of `size_wh` pixels from the maps `(side, side)` uint8 of the segmenters by name."""
    planes = {name: stretched(maps[name], size_wh) for name, weight in rule.weights.items() if weight}
    weights = np.array([rule.weights[name] for name in planes], dtype=np.float32)
    alpha, regions = clean(np.tensordot(weights / weights.sum(), np.stack(list(planes.values())), 1), rule.min_region)
    agreed = agreement([plane >= _HALF for plane in planes.values()])
    share = round(float(alpha.mean()) / 255, 4)
    return Mask(alpha, share, agreed, regions, judge(share, agreed, rule))


def stretched(plane: np.ndarray, size_wh: tuple[int, int]) -> np.ndarray:
    """A map `(side, side)` uint8 at the size of its crop, `(H, W)` float32 in 0..1."""
    return cv2.resize(plane.astype(np.float32) / 255, size_wh, interpolation=cv2.INTER_LINEAR)


def agreement(masks: list[np.ndarray]) -> float | None:
    """The mean overlap (IoU, 0..1) of `(H, W)` bool masks, two by two; None for fewer than two."""
    if len(masks) < 2:
        return None
    pairs = list(combinations(masks, 2))
    return round(sum(overlap(a, b) for a, b in pairs) / len(pairs), 4)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union, 0..1, of two `(H, W)` bool masks; two empty ones overlap by 1."""
    union = int((a | b).sum())
    return int((a & b).sum()) / union if union else 1.0


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


def judge(coverage: float, agreed: float | None, rule: MaskParams) -> str:
    """Why a mask is not to be used, or empty if it is.

    `mask_too_small`, `mask_too_large`: it covers less or more of the crop than allowed. `masks_disagree`: the
    segmenters do not say the same.
    """
    if coverage < rule.min_coverage:
        return "mask_too_small"
    if coverage > rule.max_coverage:
        return "mask_too_large"
    return "masks_disagree" if agreed is not None and agreed < rule.min_agreement else ""
