"""Section `submission` of params.yaml: the file that a contest expects."""

from typing import Literal

from pydantic import Field, model_validator

from stages.core.settings import Settings


class SubmissionSettings(Settings):
    """The file for the photos of `ingest.unlabelled`: one row per photo with an id and what is predicted."""

    id: Literal["stem", "name", "path"] = Field(
        "stem", description="of a photo: its file name without the ending, its file name, or its path"
    )
    id_column: str = Field("id", description="name of the column of ids")
    content: Literal["label", "probabilities"] = Field(
        "label", description="a column of labels, or a column of probabilities for each class"
    )
    label_column: str = Field("label", description="name of the column of labels")
    sample_file: str | None = Field(
        None, description="the contest's sample, a CSV: its ids, their order and its columns are followed"
    )

    @model_validator(mode="after")
    def _has_two_columns(self) -> "SubmissionSettings":
        if self.content == "label" and self.id_column == self.label_column:
            raise ValueError(f"label_column: expected another name than id_column, found `{self.label_column}` twice")
        return self
