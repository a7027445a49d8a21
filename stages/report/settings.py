"""The parameters of the report."""

from dataclasses import dataclass
from typing import Annotated

from stages.core import params


@dataclass(frozen=True)
class ReportParams:
    """`photos_per_gallery` at most, drawn with `seed` where there are more; `thumbnail`: longer side in pixels."""

    photos_per_gallery: params.Count
    thumbnail: Annotated[int, params.Range(32, 1024)]
    seed: int
