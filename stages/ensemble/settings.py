"""Section `ensemble` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field

from stages.core.settings import ByName, Count, NotNegative, Settings, Share

SHRINKAGES = (0.0, 0.25, 0.5, 0.75, 1.0)


class AbstainSettings(Settings):
    """When the ensemble says that it is unsure: below the lowest threshold that keeps the risk."""

    max_risk: Annotated[float, Field(gt=0, lt=1)] = Field(
        description="largest share of wrong predictions that is accepted"
    )
    confidence: Annotated[float, Field(ge=0.5, lt=1)] = Field(
        0.9, description="probability that the share is kept, by a Clopper-Pearson bound on val"
    )


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
    abstain: AbstainSettings | None = Field(
        None,
        description="such as `{max_risk: 0.05}`: those below a threshold, fitted on val, are unsure; null: none is",
    )
    manual_weights: ByName[NotNegative] | None = Field(
        None,
        description="weights to report beside the fitted ones, such as `{lite0: 0.5, lite0_kept: 0.2, lite2: 0.3}`",
    )
