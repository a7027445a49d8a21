"""Section `ensemble` of params.yaml."""

from typing import Literal

from pydantic import Field

from stages.core.settings import ByName, Count, NotNegative, Settings, Share

SHRINKAGES = (0.0, 0.25, 0.5, 0.75, 1.0)


class EnsembleSettings(Settings):
    """How the models are weighted."""

    min_val: Count = Field(30, description="val photos that fitting needs; with fewer, weights are equal")
    method: Literal["log_loss", "greedy", "equal"] = Field(
        "log_loss", description="minimise val log loss, pick models one by one, or weight all alike"
    )
    shrinkage: Literal["auto"] | Share = Field(
        "auto",
        description="share of equal weights mixed into the fitted ones; `auto`: 0, 0.25, 0.5, 0.75 or 1, by the "
        "cross-fitted log loss on val",
    )
    calibrate: bool = Field(True, description="fit a temperature on val")
    manual_weights: ByName[NotNegative] | None = Field(
        None, description="weights to report beside the fitted ones, such as `{lite0: 0.2, lite1: 0.3, lite2: 0.5}`"
    )
