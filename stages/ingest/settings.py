"""Section `ingest` of params.yaml."""

from typing import Annotated

from pydantic import Field, model_validator

from stages.core.settings import Count, Settings, Share


class IngestSettings(Settings):
    """Where the photos are, and how they are split.

    Either every class has `min_photos_per_class` usable photos, or none has and all photos train.
    """

    source: str = Field(description="a folder with one folder per class, or a CSV of `path,label` beside its photos")
    seed: int = Field(description="of the random split")
    val_share: Share = Field(description="share of each class's photos in the val split")
    test_share: Share = Field(description="share of each class's photos in the test split")
    near_duplicate_bits: Annotated[int, Field(ge=0, le=16)] = Field(
        description="photos whose perceptual hashes differ in at most so many of 64 bits share a group, and so a split"
    )
    min_photos_per_class: Count = Field(description="usable photos that each class needs")

    @model_validator(mode="after")
    def _leave_photos_to_train_on(self) -> "IngestSettings":
        if self.val_share + self.test_share >= 1:
            raise ValueError(
                f"val_share: expected a sum with test_share below 1, found {self.val_share} + {self.test_share}"
            )
        return self
