"""Look at every file of the source once: is it a picture, which one, of what class, and what is it for?"""

from dataclasses import dataclass
from typing import Annotated

from stages.core import params


@dataclass(frozen=True)
class IngestParams:
    """`source` is a folder with one folder per class, or a CSV of `path,label` beside the photos it names.

    Photos whose perceptual hashes differ in at most `near_duplicate_bits` of 64 share a group. Either every
    class has `min_photos_per_class` usable photos, or none has and all photos train.
    """

    source: str
    seed: int
    val_share: params.Share
    test_share: params.Share
    near_duplicate_bits: Annotated[int, params.Range(0, 16)]
    min_photos_per_class: params.Count

    def __post_init__(self) -> None:
        """Refuse shares that leave nothing to train on."""
        if self.val_share + self.test_share >= 1:
            raise params.ParamError(
                "ingest.val_share, ingest.test_share: expected a sum below 1, "
                f"found {self.val_share} + {self.test_share}"
            )
