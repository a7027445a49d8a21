"""The embedded sample: which photos there are, what each is drawn from, and the truth about them."""

from dataclasses import dataclass
from typing import Annotated

from stages.core.params import Count, Range


@dataclass(frozen=True)
class SampleParams:
    """Section `sample`: how many photos per body type, how large, drawn from which seed."""

    seed: int
    photos_per_class: Count
    width: Annotated[int, Range(160, 4096)]
    height: Annotated[int, Range(120, 4096)]
    jpeg_quality: Annotated[int, Range(40, 100)]
