"""Settings of sources: the columns of tables that name photos."""

from pydantic import Field, model_validator

from stages.core.settings import Settings


class ColumnSettings(Settings):
    """Names of the columns of a table of photos, and of a metadata file. No two are the same."""

    path: str = Field("path", min_length=1, description="column of the photo's path, relative to the table's folder")
    label: str = Field("label", min_length=1, description="column of the class name")
    split: str | None = Field(
        "split", description="column of `train`, `val` or `test`; null: no column is one; `split` itself may be absent"
    )
    group: str | None = Field(
        "group",
        description="photos with the same value are never parted by a split; null: no column is one; `group` itself "
        "may be absent",
    )

    @model_validator(mode="after")
    def _name_each_column_once(self) -> "ColumnSettings":
        names = [name for name in (self.path, self.label, self.split, self.group) if name is not None]
        if len(set(names)) < len(names):
            raise ValueError(f"expected another column for each purpose, found {', '.join(names)}")
        return self
