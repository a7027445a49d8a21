"""Choose how the labels of a source are read, and read them."""

from collections.abc import Callable
from typing import NamedTuple

import pandas as pd

from stages.scan import coco, imagefolder, patterns, photo_table, voc
from stages.scan.rows import LayoutError, from_columns, load
from stages.sources.file_names import annotation_name, is_table_name
from stages.sources.settings import SourceSettings

ReadBytes = Callable[[str], bytes]
UNLABELLED_FILES = "files"


class LabelledFiles(NamedTuple):
    """The rows of a source (see stages.scan.rows), the layout that was read, and remarks for the user."""

    rows: pd.DataFrame
    layout: str
    remarks: list[str]


def read_labelled(paths: list[str], read_bytes: ReadBytes, settings: SourceSettings) -> LabelledFiles:
    """Read labels, splits, groups and boxes of the files `paths` of the source. Raises LayoutError, one line."""
    name = annotation_name(settings.source)
    layout = settings.layout
    if layout == "auto":
        layout = _layout_of_file(name) if name else guess_layout(paths, read_bytes)
    _check_file(name, layout)
    if layout == "table":
        table = photo_table.read_table(name, load(read_bytes, name), settings.columns)
        return LabelledFiles(table.rows, layout, _unused(table.unused))
    readers: dict[str, Callable[[], pd.DataFrame]] = {
        "imagefolder": lambda: imagefolder.read_imagefolder(paths, read_bytes, settings.columns),
        "coco": lambda: coco.read_coco(_with_annotations(paths, name), read_bytes),
        "voc": lambda: voc.read_voc(paths, read_bytes),
    }
    read = readers.get(layout, lambda: patterns.read_pattern(paths, layout))
    return LabelledFiles(read(), layout, [])


def read_unlabelled(paths: list[str], read_bytes: ReadBytes, settings: SourceSettings) -> LabelledFiles:
    """The rows of the photos to predict: all files of a folder, or those that a table names; labels are not read."""
    name = annotation_name(settings.unlabelled or "")
    if not name:
        return LabelledFiles(from_columns({"path": paths}, len(paths)), UNLABELLED_FILES, [])
    table = photo_table.read_table(name, load(read_bytes, name), settings.columns, labelled=False)
    rows = from_columns({"path": table.rows["path"].tolist()}, len(table.rows))
    return LabelledFiles(rows, "table", [])


def guess_layout(paths: list[str], read_bytes: ReadBytes) -> str:
    """The layout that a folder shows: `imagefolder`, `coco`, `voc` or a pattern.

    Raises LayoutError where it shows two.
    """
    found = {
        "imagefolder": imagefolder.metadata_files(paths),
        "coco": coco.annotation_files(paths, read_bytes),
        "voc": voc.annotation_files(paths),
    }
    shown = {layout: files[0] for layout, files in found.items() if files}
    if len(shown) > 1:
        readings = " and ".join(f"{file} (`{layout}`)" for layout, file in shown.items())
        raise LayoutError(f"found {readings}: set ingest.layout to the one that holds the labels")
    return next(iter(shown)) if shown else patterns.guess_pattern(paths)


def _with_annotations(paths: list[str], name: str) -> list[str]:
    """The paths of a source; where it is one annotation file, `name`, without the other ones."""
    return [path for path in paths if not path.lower().endswith(".json")] + [name] if name else paths


def _layout_of_file(name: str) -> str:
    return "table" if is_table_name(name) else "coco"


def _check_file(name: str, layout: str) -> None:
    """Raise LayoutError where the source is a file `name`, or none, that the layout does not read."""
    if layout == "table" and not is_table_name(name):
        raise LayoutError(
            "ingest.layout is `table`: expected a CSV, TSV or Parquet file as ingest.source, found "
            + (name or "a folder or archive")
        )
    if name and layout != _layout_of_file(name):
        raise LayoutError(f"{name}: expected ingest.layout `{_layout_of_file(name)}` or `auto`, found `{layout}`")


def _unused(columns: list[str]) -> list[str]:
    return [f"columns that are not used: {', '.join(columns)}"] if columns else []
