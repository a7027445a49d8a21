"""Section `ingest` of params.yaml."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from stages.core.settings import Count, Seed, Share, WholeNumber
from stages.sources.settings import SourceSettings


class IngestSettings(SourceSettings):
    """Where the photos are, and how they are split.

    Either every class has `min_photos_per_class` usable photos, or none has and all photos train.
    """

    split_by: Literal["auto", "random", "time", "origin"] = Field(
        "auto",
        description="`random`: within each class; `time`: the latest photos are test, those before them val, by "
        "`columns.time`, `{time}` in `layout`, or else EXIF DateTimeOriginal; `origin`: whole origins, such as "
        "dealers, by `columns.origin` or `{origin}`; `auto`: by time or origin where the source gives them, else "
        "random",
    )
    seed: Seed = Field(description="of the random split, and of the order in which origins are tried")
    val_share: Share = Field(description="share of the photos in the val split, by `random` of each class's photos")
    test_share: Share = Field(description="share of the photos in the test split, likewise; not with folds")
    folds: Annotated[int, Field(ge=2)] | None = Field(
        None, description="of a cross-validation: test is fold number `fold` of so many; null: one split"
    )
    fold: WholeNumber = Field(0, description="the fold that is test, from 0")
    leaks: Literal["warn", "error"] = Field(
        "warn", description="what follows near-duplicates or equal groups in different given splits"
    )
    near_duplicate_bits: Annotated[int, Field(ge=0, le=16)] = Field(
        description="photos whose perceptual hashes differ in at most so many of 64 bits share a group, and so a split"
    )
    min_photos_per_class: Count = Field(description="usable photos that each class needs")

    @model_validator(mode="after")
    def _leave_photos_to_train_on(self) -> "IngestSettings":
        if self.folds is None and self.val_share + self.test_share >= 1:
            raise ValueError(
                f"val_share: expected a sum with test_share below 1, found {self.val_share} + {self.test_share}"
            )
        if self.folds is None and self.fold:
            raise ValueError(f"fold: expected 0 without folds, found {self.fold}; set folds, such as 5")
        if self.folds is not None and self.fold >= self.folds:
            raise ValueError(f"fold: expected a number below folds ({self.folds}), found {self.fold}")
        if self.folds is not None and self.val_share + 1 / self.folds >= 1:
            raise ValueError(f"val_share: expected less than 1 - 1 / folds, found {self.val_share}")
        return self
