"""Several views of a photo answered and averaged at test time, more of them where the first ones disagree.

The views are a fixed list in a fixed order, and every one is applied to the full: nothing is drawn by lot, so the same
photo gets the same answer, whatever other photos there are.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from stages.core.params import Range, Share
from stages.evaluate.tta_views import VIEWS


@dataclass(frozen=True)
class TtaParams:
    """Section `tta`: how many of the views each photo gets.

    `none` is the first alone, the photo as it is; `fixed` the `first` ones; `adaptive` as many, and two more at a time
    up to `cap`, as long as less than a share `agreement` of a photo's views name the same class.
    """

    mode: Literal["none", "fixed", "adaptive"] = "adaptive"
    first: Annotated[int, Range(1, len(VIEWS))] = 2
    cap: Annotated[int, Range(1, len(VIEWS))] = 6
    agreement: Share = 0.75
