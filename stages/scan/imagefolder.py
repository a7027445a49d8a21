"""Folders of photos with metadata files, as the `imagefolder` of Hugging Face datasets has them."""

import posixpath
from collections.abc import Iterator

import pandas as pd

from stages.scan import column_roles, object_lists
from stages.scan.cells import Cells, read_cells, shown
from stages.scan.object_lists import ObjectList
from stages.scan.path_lookup import PathLookup, join, leaves_root
from stages.scan.rows import LayoutError, ReadBytes, finish, load, rows, split_folder
from stages.sources.settings import ColumnSettings

_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_PATH = "file_name"


def metadata_files(paths: list[str]) -> list[str]:
    """Return the metadata files at the top and in the folders of splits. Raises LayoutError if a folder has two."""
    folders: dict[str, str] = {}
    for path in sorted(path for path in paths if path.endswith(_NAMES)):
        folder, name = posixpath.split(path)
        if name not in _NAMES or (folder and ("/" in folder or not split_folder(path))):
            continue
        if folder in folders:
            raise LayoutError(
                f"{path}: expected one metadata file in a folder, found {folders[folder]} too; remove one"
            )
        folders[folder] = path
    return list(folders.values())


def read_imagefolder(
    paths: list[str], read_bytes: ReadBytes, columns: ColumnSettings, labelled: bool = True
) -> pd.DataFrame:
    """Return the rows of the photos that metadata files name, and of the files that they do not.

    `file_name` is relative to the metadata file. Labels are in the column `columns.label`, or in the categories of
    `objects`, whose `bbox` are [x, y, width, height] in pixels. Splits are those of a column, or of the folder.
    Reasons are `missing`, `bad_box`, `no_label`, `duplicate_box`, `conflicting_labels`, `not_listed`; a path out of
    the source has none. Raises LayoutError naming file, row and column.
    """
    files = metadata_files(paths)
    if not files:
        raise LayoutError(f"expected {', '.join(_NAMES)} at the top or in a folder such as train, found none")
    lookup = PathLookup(set(paths) - set(files))
    records: list[dict[str, object]] = []
    origins: dict[str, str] = {}
    for file in files:
        cells = read_cells(file, load(read_bytes, file))
        for row, photo in enumerate(_photos(cells, lookup, columns, labelled)):
            place = f"row {cells.numbers[row]} of {file}"
            path = str(photo[0]["path"])
            if path in origins:
                raise cells.error(row, f"expected each photo once, found {shown(path)} in {origins[path]} too")
            origins[path] = place
            records += photo
    return finish(rows(records), sorted(set(paths) - set(files) - set(origins)), labelled)


def _photos(
    cells: Cells, lookup: PathLookup, columns: ColumnSettings, labelled: bool
) -> Iterator[list[dict[str, object]]]:
    """Yield the records of each row, one for each object."""
    if _PATH not in cells.columns:
        raise LayoutError(
            f"{cells.name}: expected a column `{_PATH}`, found {cells.found()}; rename the one of the paths"
        )
    objects = object_lists.parse_objects(cells)
    labels = _labels(cells, objects, columns, labelled)
    has_split = columns.split in cells.columns or not split_folder(cells.name)
    split = column_roles.optional_column(cells, columns, "split") if has_split else None
    splits = column_roles.split_values(cells, split)
    groups = column_roles.group_values(cells, column_roles.optional_column(cells, columns, "group"))
    origins = column_roles.origin_values(cells, columns.origin if labelled else None)
    moments = column_roles.time_values(cells, columns.time if labelled else None)
    for row, name in enumerate(cells.text(_PATH)):
        if not name.strip():
            raise cells.error(row, f"expected the path of a photo in the column `{_PATH}`, found none")
        place = _place(lookup, join(posixpath.dirname(cells.name), name))
        photo = {**place, "label": labels[row], "split": _split(cells, row, splits[row], place)}
        photo |= {"group": groups[row], "origin": origins[row], "time": moments[row]}
        yield [{**photo, **_with_first_reason(place, item)} for item in object_lists.records(cells, row, objects[row])]


def _labels(cells: Cells, objects: list[ObjectList], columns: ColumnSettings, labelled: bool) -> list[str]:
    """Return the labels of the photos, empty where those of the objects count."""
    has_column = columns.label in cells.columns
    has_categories = any(item.categories is not None for item in objects)
    if has_column and has_categories:
        raise LayoutError(
            f"{cells.name}: expected labels in the column `{columns.label}` or in the categories of "
            f"`{object_lists.COLUMN}`, found both; remove one of them"
        )
    if labelled and not has_categories:
        column_roles.require_column(cells, columns.label, "label")
    return column_roles.label_values(cells, columns.label if has_column else None)


def _place(lookup: PathLookup, path: str) -> dict[str, object]:
    """Return the path as the source has it; else `path`, with the reason `missing` unless it leads out of it."""
    listed = lookup.find(path)
    return {"path": listed or path, "reason": "" if listed or leaves_root(path) else "missing"}


def _split(cells: Cells, row: int, split: str, place: dict[str, object]) -> str:
    of_folder = split_folder(str(place["path"]))
    if split and of_folder and split != of_folder:
        raise cells.error(
            row,
            f"expected one split, found {split} in the table and the folder of {shown(place['path'])}; correct one, or "
            "set ingest.columns.split: null for that of the folder",
        )
    return split or of_folder


def _with_first_reason(place: dict[str, object], item: dict[str, object]) -> dict[str, object]:
    return {**item, "reason": place["reason"] or item.get("reason", "")}
