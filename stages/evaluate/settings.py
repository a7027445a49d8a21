"""Section `tta` of params.yaml: test-time augmentation."""

from typing import Annotated, Literal

from pydantic import Field

from stages.core.settings import Settings, Share
from stages.evaluate.tta_views import VIEWS

ViewCount = Annotated[int, Field(ge=1, le=len(VIEWS))]


class TtaSettings(Settings):
    """How many views of each photo are predicted and averaged.

    `none` predicts the unchanged photo, `fixed` the first `min_views` views, `adaptive` as many and two more at a time
    up to `max_views`, as long as less than a share `agreement` of a photo's views predict the same class.
    """

    mode: Literal["none", "fixed", "adaptive"] = Field("adaptive", description="see above")
    min_views: ViewCount = Field(2, description="views of every photo; 2: unchanged and mirrored")
    max_views: ViewCount = Field(6, description="most views of a photo under `adaptive`")
    agreement: Share = Field(0.75, description="share of the views that must predict one class")
