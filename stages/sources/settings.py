"""Where photos are and how their labels are read: part of section `ingest` of params.yaml."""

import re

from pydantic import Field, field_validator, model_validator

from stages.core.settings import Settings

# Layouts that are no pattern of folders.
NAMED_LAYOUTS = ("auto", "table", "imagefolder", "coco", "voc")
# How a pattern names groups: with `group`, a name must not recur below several labels, where it could mean two things.
GROUPS = ("group", "label_group", "shared_group")
PLACEHOLDERS = ("label", "split", *GROUPS, "origin", "time")


class ColumnSettings(Settings):
    """The names of a table's columns, no two the same. A split or group column that the table lacks is not used."""

    path: str = Field("path", min_length=1, description="path of the photo, relative to `ingest.root`")
    label: str = Field("label", min_length=1, description="label; of imagefolder metadata too")
    split: str | None = Field("split", description="train, val or test, kept as given; null ignores such a column")
    group: str | None = Field("group", description="photos of one group never straddle two splits; null ignores it")
    origin: str | None = Field(
        None, description="what a photo comes from, such as a dealer, website or photographer; see `ingest.split_by`"
    )
    time: str | None = Field(
        None, description="when a photo was taken, as numbers or ISO dates, all of one form; see `ingest.split_by`"
    )

    @model_validator(mode="after")
    def _name_each_column_once(self) -> "ColumnSettings":
        names = [name for name in self.names() if name]
        if len(set(names)) < len(names):
            raise ValueError(f"expected another column for each purpose, found {', '.join(names)}")
        return self

    def names(self) -> tuple[str | None, ...]:
        """Return the column of each purpose, None where it has none."""
        return self.path, self.label, self.split, self.group, self.origin, self.time


class SourceSettings(Settings):
    """Where the photos are, and how a photo's label, split and group are read."""

    source: str = Field(
        description="a folder, a table (CSV, TSV, Parquet), a zip or tar archive, a COCO file, or a URL of any of "
        "these, such as `s3://bucket/photos`"
    )
    layout: str = Field(
        "auto",
        description="`auto`, `table`, `imagefolder`, `coco`, `voc`, or a pattern of the paths: `{label}/**`, "
        "`{split}/{label}/**`, `*/{label}/*`, `{label}_*`; two `{label}` are joined by `/`",
    )
    root: str | None = Field(None, description="folder that a table's paths are relative to; null: the table's own")
    columns: ColumnSettings = Field(default_factory=ColumnSettings, description="names of a table's columns")
    class_map: str | None = Field(
        None, description="a CSV of `label,class` that renames and merges classes; an empty class drops the label"
    )
    unlabelled: str | None = Field(
        None, description="photos to predict: a folder, a table with a path column, an archive or a URL"
    )

    @field_validator("layout")
    @classmethod
    def _has_a_label(cls, layout: str) -> str:
        if layout in NAMED_LAYOUTS:
            return layout
        unknown = set(re.findall(r"\{(.*?)\}", layout)) - set(PLACEHOLDERS)
        has_lone_brace = re.search("[{}]", re.sub(r"\{\w+\}", "", layout)) is not None
        if unknown or has_lone_brace or "{label}" not in layout:
            found = f"the placeholder {{{sorted(unknown)[0]}}}" if unknown else repr(layout)
            found += ", where a brace has no other" if has_lone_brace else ""
            raise ValueError(
                f"expected one of {', '.join(NAMED_LAYOUTS)}, or a pattern with {{label}} and perhaps {{split}}, "
                f"{{group}}, {{origin}}, {{time}}, * and **, found {found}"
            )
        n_groups = sum(layout.count(f"{{{name}}}") for name in GROUPS)
        if n_groups > 1 or any(layout.count(f"{{{name}}}") > 1 for name in ("split", "origin", "time")):
            raise ValueError(f"expected {{split}}, {{group}}, {{origin}} and {{time}} at most once, found {layout!r}")
        if "" in layout.split("/"):
            raise ValueError(
                f"expected a pattern without a slash at its begin or end or two in a row, found {layout!r}"
            )
        return layout

    @field_validator("source", "unlabelled", "root", "class_map")
    @classmethod
    def _holds_no_secret(cls, source: str | None) -> str | None:
        if source is not None and re.search(r"://[^/]*@", source):
            raise ValueError(
                "expected a URL without user and password, found one with them; put them into the environment"
            )
        if source == "":
            raise ValueError("expected a folder, a file or a URL, found an empty text")
        return source
