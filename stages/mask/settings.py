"""Several soft maps of one crop made into one mask: averaged, the car's own region kept, and judged."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from stages.core import params


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


def check_segmenters(path: Path, rule: MaskParams) -> None:
    """Raise ParamError unless `mask.weights` names exactly the segmenters there are."""
    known = set(map(str, params.load(path).get("segmenters") or {}))
    strange = sorted(known ^ set(rule.weights))
    if strange:
        raise params.ParamError(
            f"mask.weights: expected a weight for each of `segmenters` ({', '.join(sorted(known))}), "
            f"found {', '.join(sorted(rule.weights))}; `{strange[0]}` is on one side only"
        )
