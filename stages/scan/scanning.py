"""The rows of data/files.csv: every file of the source with its label, and a version by which changes are noticed."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import pandas as pd

from stages.core import batches, progress, tables
from stages.images.images import ImageError
from stages.scan import class_map, layout
from stages.scan.layout import LabelledFiles
from stages.scan.rows import LayoutError
from stages.scan.rows import rows as records_to_rows
from stages.schemas import files
from stages.schemas.manifest import UNLABELLED
from stages.sources.settings import SourceSettings
from stages.sources.store import ListedFile, Store, open_store, resolve

# Line ends, control characters and bytes that are no text: class lists and tables could not be parsed.
_UNPRINTABLE = "[\\x00-\\x1f\\x7f\\x85\\u2028\\u2029\\ud800-\\udfff]"
# Files whose versions are read ahead: enough to hide the latency of a bucket.
_AHEAD = 64


class Scan(NamedTuple):
    """The `rows` of data/files.csv, the `layout` that was read, and `remarks` for the user."""

    rows: pd.DataFrame
    layout: str
    remarks: list[str]


def scan(settings: SourceSettings, hash_cache: Path) -> Scan:
    """List the labelled and the unlabelled source. Raises SourceError or LayoutError, which name the source."""
    labelled = _scan_source(
        settings.source, settings.root, partial(layout.read_labelled, settings=settings), hash_cache
    )
    mapped = _apply_class_map(labelled, settings.class_map)
    remarks = list(mapped.remarks)
    parts = [mapped.rows]
    if settings.unlabelled is not None:
        read = partial(layout.read_unlabelled, settings=settings)
        others = _scan_source(settings.unlabelled, settings.root, read, hash_cache)
        parts.append(others.rows.assign(split=UNLABELLED))
    return Scan(pd.concat(parts, ignore_index=True)[list(files.COLUMNS)], labelled.layout, remarks)


ReadRows = Callable[[list[str], layout.ReadBytes], LabelledFiles]


def _scan_source(source: str, root: str | None, read: ReadRows, hash_cache: Path) -> LabelledFiles:
    """The rows of one source, with `version` and `reason`, sorted by path."""
    own = open_store(resolve(source), hash_cache)
    is_table = layout.file_name(source) != ""
    photos = open_store(resolve(root), hash_cache) if is_table and root is not None else own
    # A table names its photos: the folder that it lies in may hold any number of other files.
    listed = [] if is_table and not source.endswith(".json") else photos.list_files()
    try:
        labelled = read([file.path for file in listed if not file.reason], own.load)
    except LayoutError as error:
        raise LayoutError(f"{source}: {error}") from None
    rows = _with_unreadable(labelled.rows, listed)
    if rows.empty:
        raise LayoutError(f"{source}: expected photos, found no file; set ingest.source")
    rows = _with_versions(_screen(_relative(rows, photos.root)), photos)
    return labelled._replace(rows=rows.sort_values("path", kind="stable", ignore_index=True))


def _with_unreadable(rows: pd.DataFrame, listed: list[ListedFile]) -> pd.DataFrame:
    """Add a row for each listed entry that cannot be read; the first folder of an empty one is its label."""
    refused = records_to_rows(
        {"path": path, "label": PurePosixPath(path).parts[0] if "/" in path else "", "reason": reason}
        for path, reason in listed
        if reason
    )
    return pd.concat([rows, refused], ignore_index=True)


def _relative(rows: pd.DataFrame, root: str) -> pd.DataFrame:
    """Make absolute paths below `root` relative to it."""
    prefix = root.rstrip("/") + "/"
    is_below = rows["path"].str.startswith(prefix)
    return rows.assign(path=rows["path"].mask(is_below, rows["path"].str.removeprefix(prefix)))


def _screen(rows: pd.DataFrame) -> pd.DataFrame:
    """Give paths that leave the source, and names that tables cannot hold, a reason; escape the latter."""
    leaves = rows["path"].map(lambda path: path.startswith("/") or ".." in path.split("/"))
    is_bad = rows["path"].str.contains(_UNPRINTABLE) | rows["label"].str.contains(_UNPRINTABLE)
    unset = rows["reason"] == ""
    return rows.assign(
        reason=rows["reason"].mask(unset & leaves, "outside").mask(unset & is_bad, "bad_name"),
        path=rows["path"].str.replace(_UNPRINTABLE, lambda match: ascii(match.group())[1:-1], regex=True),
        label=rows["label"].mask(rows["label"].str.contains(_UNPRINTABLE), ""),
        group=rows["group"].str.replace(_UNPRINTABLE, " ", regex=True),
    )


class _Version(NamedTuple):
    path: str
    version: str
    reason: str


def _version(store: Store, path: str) -> _Version:
    """The version of a file; a path with Windows' separators is also tried with slashes."""
    spellings = [path, path.replace("\\", "/")] if "\\" in path else [path]
    reason = ""
    for spelling in spellings:
        try:
            return _Version(spelling, store.version(spelling), "")
        except ImageError as error:
            reason = reason or error.reason
    return _Version(path, "", reason)


def _with_versions(rows: pd.DataFrame, store: Store) -> pd.DataFrame:
    paths = rows.loc[rows["reason"] == "", "path"].unique().tolist()
    made = batches.ordered_thread_map(partial(_version, store), paths, ahead=_AHEAD)
    versions = {path: version for path, version in progress.track(made, len(paths), "file", "scan")}
    wanted = [versions.get(path) if reason == "" else None for path, reason in zip(rows["path"], rows["reason"])]
    return rows.assign(
        version=[item.version if item else "" for item in wanted],
        reason=[item.reason if item else reason for item, reason in zip(wanted, rows["reason"])],
        path=[item.path if item else path for item, path in zip(wanted, rows["path"])],
    )


def _apply_class_map(labelled: LabelledFiles, path: str | None) -> LabelledFiles:
    if path is None:
        return labelled
    file = Path(resolve(path))
    if not file.is_file():
        raise LayoutError(f"ingest.class_map: expected a CSV of label,class, found no file {path}")
    table = tables.read_text(file)
    class_map.check_map(path, table)
    mapped = class_map.map_labels(labelled.rows["label"], table)
    rows = class_map.apply(labelled.rows, mapped.classes)
    remarks = [f"{path}: no label matches {', '.join(mapped.unused)}"] if mapped.unused else []
    return LabelledFiles(rows, labelled.layout, [*labelled.remarks, *remarks])


def count(rows: pd.DataFrame) -> dict[str, object]:
    """Counts: rows, photos to predict, rows by given split, files by reason."""
    return {
        "files": len(rows),
        "labelled": int((rows["label"] != "").sum()),
        "unlabelled": int((rows["split"] == UNLABELLED).sum()),
        "given_split": rows.loc[~rows["split"].isin(["", UNLABELLED]), "split"].value_counts().sort_index().to_dict(),
        "annotated_boxes": int(rows["x_min"].notna().sum()),
        "reason": rows.loc[rows["reason"] != "", "reason"].value_counts().sort_index().to_dict(),
    }


def similar_labels(labels: Iterable[str]) -> list[list[str]]:
    """Labels that differ only in case, Unicode form or spaces: perhaps one class under several names."""
    names = pd.Series(sorted(set(labels) - {""}), dtype=str)
    return [group.tolist() for _, group in names.groupby(names.map(class_map.folded)) if len(group) > 1]
