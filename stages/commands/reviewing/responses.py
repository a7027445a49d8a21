"""What the review server takes and returns."""

from typing import Literal

from pydantic import BaseModel, Field

# Far more than any value of data/corrections.csv has.
_MAX_TEXT = 500
_TAB = Field("", max_length=64, description="which tab of a browser changes, for undo")


class DecisionText(BaseModel):
    """A decision: a kind of data/corrections.csv and its value."""

    kind: Literal["label", "drop", "not_a_car", "box", "no_mask"]
    value: str = Field("", max_length=_MAX_TEXT, description="the class of `label`; the corners of `box`")


class ChangeRequest(DecisionText):
    """A decision to write, or to remove; `expected` are the decisions that the page shows."""

    is_removed: bool = False
    expected: list[DecisionText] = Field(max_length=3)
    tab: str = _TAB


class UndoRequest(BaseModel):
    """Take back the last change of a tab."""

    tab: str = _TAB


class StandingDecision(DecisionText):
    """A decision as the table has it."""

    who: str
    when: str


class ChangeResponse(BaseModel):
    """A photo's decisions after a change; after an undo with nothing left, an empty id."""

    image_id: str
    decisions: list[StandingDecision]


class QueueResponse(BaseModel):
    """The photos that a filter shows, in order; `done` are those of all states that somebody has looked at."""

    image_ids: list[str]
    done: list[str]
    n_total: int
    codes: dict[str, int]
    labels: dict[str, int]
    splits: dict[str, int]
    n_unreadable: int
    who: str


class ReviewReason(BaseModel):
    """Why a photo is shown: a code and a sentence."""

    code: str
    text: str


class ReviewBox(BaseModel):
    """The main car's box in pixels of the upright photo."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float


class RankedClass(BaseModel):
    """A class and its probability by each predictor, in their order."""

    label: str
    probabilities: list[float]


class NearDuplicate(BaseModel):
    """Another photo of the same group."""

    image_id: str
    path: str
    label: str


class ReviewPhoto(BaseModel):
    """All that the page shows of a photo; `suggestions` are all classes, the likeliest first."""

    image_id: str
    path: str
    label: str
    split: str
    width: int
    height: int
    box: ReviewBox | None
    suggested_label: str
    reasons: list[ReviewReason]
    predictors: list[str]
    rows: list[RankedClass]
    suggestions: list[str]
    near_duplicates: list[NearDuplicate]
    decisions: list[StandingDecision]
