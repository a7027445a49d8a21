"""Section `mask` of params.yaml."""

from pathlib import Path

from pydantic import Field, model_validator

from stages.core import settings
from stages.core.settings import ByName, NotNegative, Settings, SettingsError, Share


class MaskSettings(Settings):
    """How the saliency maps of all segmenters become one mask, and when the mask is not used."""

    weights: ByName[NotNegative] = Field(description="one for each of `segmenters`; they need not sum to 1")
    min_region: Share = Field(description="smaller regions, as a share of the largest one's area, are dropped")
    min_agreement: Share = Field(
        description="mean pairwise IoU of the segmenters' masks below which the whole crop is used"
    )
    min_coverage: Share = Field(description="share of the crop below which a mask is not used")
    max_coverage: Share = Field(description="share of the crop above which a mask is not used")

    @model_validator(mode="after")
    def _can_be_met(self) -> "MaskSettings":
        if self.min_coverage > self.max_coverage:
            raise ValueError(
                f"min_coverage: expected at most max_coverage = {self.max_coverage}, found {self.min_coverage}"
            )
        if not sum(self.weights.values()):
            raise ValueError(f"weights: expected one above 0 or more, found {self.weights}")
        return self


def check_segmenters(path: Path, mask: MaskSettings) -> None:
    """Raise SettingsError unless `mask.weights` names exactly the segmenters there are."""
    known = set(map(str, settings.load(path).get("segmenters") or {}))
    different = sorted(known ^ set(mask.weights))
    if different:
        raise SettingsError(
            f"mask.weights: expected a weight for each of `segmenters` ({', '.join(sorted(known))}), "
            f"found {', '.join(sorted(mask.weights))}; `{different[0]}` is on one side only"
        )
