"""The rows of data/files.csv: every file of the source with its label, and a version by which changes are noticed."""

import posixpath
import re
import unicodedata
from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from stages.core import batches, progress
from stages.images.images import ImageError
from stages.scan import class_map, layout, patterns
from stages.scan.cells import read_cells
from stages.scan.class_map import UNPRINTABLE
from stages.scan.layout import LabelledFiles
from stages.scan.rows import BOX, TEXT, LayoutError
from stages.scan.rows import rows as records_to_rows
from stages.schemas import files
from stages.schemas.manifest import UNLABELLED
from stages.sources.file_names import annotation_name, is_photo_name, is_table_name
from stages.sources.photos import READERS
from stages.sources.settings import NAMED_LAYOUTS, SourceSettings
from stages.sources.store import ListedFile, Store, is_url, open_store, resolve

_FILES_PER_TASK = 64


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
    remarks = [*mapped.remarks, *_remarks(labelled.rows, settings)]
    parts = [mapped.rows]
    if settings.unlabelled is not None:
        read = partial(layout.read_unlabelled, settings=settings)
        others = _scan_source(settings.unlabelled, settings.root, read, hash_cache)
        parts.append(others.rows.assign(split=UNLABELLED))
    return Scan(pd.concat(parts, ignore_index=True)[list(files.COLUMNS)], labelled.layout, remarks)


def _remarks(rows: pd.DataFrame, settings: SourceSettings) -> list[str]:
    """What is probably not meant: photos without a label or a given split beside others, a root that nothing reads."""
    remarks = []
    usable = rows[rows["reason"] == ""]
    unlabelled = usable[usable["label"] == ""]
    unlabelled = unlabelled[unlabelled["path"].map(is_photo_name).astype(bool)]
    if len(unlabelled):
        remarks.append(
            f"{len(unlabelled)} photos have no label and are not used, such as {unlabelled['path'].iloc[0]}; photos to "
            "predict belong to ingest.unlabelled"
        )
    without = usable[(usable["split"] == "") & (usable["label"] != "")]
    if len(without) > 0 and (usable["split"] != "").any():
        remarks.append(
            f"{len(without)} labelled photos have no given split, others have, such as {without['path'].iloc[0]}; they "
            "are treated as train"
        )
    if settings.root is not None and not any(map(annotation_name, (settings.source, settings.unlabelled or ""))):
        remarks.append("ingest.root is not used: no source is a table or an annotation file")
    return remarks


ReadRows = Callable[[list[str], layout.ReadBytes], LabelledFiles]


def _scan_source(source: str, root: str | None, read: ReadRows, hash_cache: Path) -> LabelledFiles:
    """The rows of one source, with `version` and `reason`, sorted by path."""
    own = open_store(resolve(source), hash_cache)
    name = annotation_name(source)
    photos = open_store(resolve(root), hash_cache) if name and root is not None else own
    # A table names its photos: the folder that it lies in may hold any number of other files.
    listed = [] if is_table_name(name) else photos.list_files()
    readable = [file.path for file in listed if not file.reason]
    if not readable and not is_table_name(name):
        raise LayoutError(f"{source}: expected photos, found no file that can be read{_first_reason(listed)}")
    try:
        labelled = read(readable, own.load)
        _require_pixels(labelled.rows)
        rows = _with_unreadable(labelled, listed)
    except LayoutError as error:
        raise LayoutError(f"{source}: {error}") from None
    if is_table_name(name):
        rows = rows.assign(path=_below(rows["path"], photos.root))
    rows = _with_versions(_screen(rows), photos)
    return labelled._replace(rows=rows.sort_values("path", kind="stable", ignore_index=True))


def _require_pixels(rows: pd.DataFrame) -> None:
    """Raise LayoutError where all boxes could be shares of the photo's sides: as pixels they would be of one pixel."""
    boxes = rows.loc[rows[BOX].notna().all(axis=1), BOX]
    if len(boxes) and boxes.to_numpy().min() >= 0 and boxes.to_numpy().max() <= 1:
        raise LayoutError(
            f"expected boxes in pixels, found shares of the photo's width and height, 0 to 1, in each of {len(boxes)}, "
            f"such as {', '.join(f'{side:g}' for side in boxes.iloc[0])} ({rows['path'][boxes.index[0]]!a}); multiply "
            "them by the size of the photo"
        )


def _first_reason(listed: list[ListedFile]) -> str:
    return f", {listed[0].path!a} is {listed[0].reason}" if listed else ""


def _with_unreadable(labelled: LabelledFiles, listed: list[ListedFile]) -> pd.DataFrame:
    """Add a row, or the reason to the rows, of each listed entry that cannot be read.

    Where labels are parts of paths, the row has its label: else a class could be lost without notice.
    """
    reasons = {file.path: file.reason for file in listed if file.reason}
    rows = labelled.rows
    if not reasons:
        return rows
    known = set(rows["path"])
    kept = [reasons.get(path, reason) for path, reason in zip(rows["path"], rows["reason"])]
    rows = rows.assign(reason=pd.Series(kept, rows.index, dtype=TEXT))
    others = [path for path in reasons if path not in known]
    if not others:
        return rows
    named = records_to_rows({"path": path} for path in others)
    if labelled.layout not in (*NAMED_LAYOUTS, layout.UNLABELLED_FILES):
        # A folder has the label of a file in it.
        inside = [path + "file" if path.endswith("/") else path for path in others]
        named = patterns.parse(inside, labelled.layout)
    # Names may hold bytes that are no UTF-8, which only Python's own text does.
    own = {"path": others, "reason": [reasons[path] for path in others]}
    named = named.assign(**{name: pd.Series(values, dtype=TEXT) for name, values in own.items()})
    return pd.concat([rows, named], ignore_index=True)


def _below(paths: "pd.Series[str]", root: str) -> "pd.Series[str]":
    """The paths of a table without `.` and double slashes; absolute ones, and URLs, below `root` relative to it."""
    roots = [root] if is_url(root) else [posixpath.normpath(Path(root).absolute()), str(Path(root).resolve())]

    def relative(path: str) -> str:
        plain = path if is_url(path) else posixpath.normpath(path)
        prefixes = [f"{name.rstrip('/')}/" for name in roots]
        return next((plain.removeprefix(prefix) for prefix in prefixes if plain.startswith(prefix)), plain)

    return paths.map(relative)


def _screen(rows: pd.DataFrame) -> pd.DataFrame:
    """Give paths that leave the source, and names that tables cannot hold, a reason; escape the latter."""
    leaves = pd.Series(
        [path.startswith("/") or (".." in path and ".." in path.split("/")) for path in rows["path"].tolist()],
        rows.index,
        bool,
    )
    names = ("path", "label", "group", "origin")
    # One search in all texts: nearly always there is nothing to escape.
    if not re.search(UNPRINTABLE, "".join(chain.from_iterable(rows[name].tolist() for name in names))):
        return rows.assign(reason=rows["reason"].mask((rows["reason"] == "") & leaves, "outside"))
    is_bad = rows["path"].str.contains(UNPRINTABLE) | rows["label"].str.contains(UNPRINTABLE)
    unset = rows["reason"] == ""
    return rows.assign(
        reason=rows["reason"].mask(unset & leaves, "outside").mask(unset & is_bad, "bad_name"),
        path=rows["path"].str.replace(UNPRINTABLE, lambda match: ascii(match.group())[1:-1], regex=True),
        label=rows["label"].mask(rows["label"].str.contains(UNPRINTABLE), ""),
        group=rows["group"].str.replace(UNPRINTABLE, " ", regex=True),
        origin=rows["origin"].str.replace(UNPRINTABLE, " ", regex=True),
    )


class _Version(NamedTuple):
    path: str
    version: str
    reason: str


def _version(store: Store, path: str) -> _Version:
    """The version of a file; its path is also tried with slashes for Windows' separators, and in other Unicode forms.

    A table may be written by a program that composes accents, and the photos' names by one that does not.
    """
    slashed = [posixpath.normpath(path.replace("\\", "/"))] if "\\" in path else []
    forms = [unicodedata.normalize(form, path) for form in ("NFC", "NFD")]
    spellings = dict.fromkeys([path, *slashed, *forms])
    reason = ""
    for spelling in spellings:
        try:
            return _Version(spelling, store.version(spelling), "")
        except ImageError as error:
            reason = error.reason
    return _Version(path, "", reason)


def _versions(store: Store, paths: tuple[str, ...]) -> list[tuple[str, _Version]]:
    return [(path, _version(store, path)) for path in paths]


def _with_versions(rows: pd.DataFrame, store: Store) -> pd.DataFrame:
    """The rows with their `version`, or the `reason` why there is none."""
    paths = rows.loc[rows["reason"] == "", "path"].unique().tolist()
    # In one thread: threads that look up what is known take Python's lock from each other. They read what is new.
    versions = {path: _Version(path, version, "") for path, version in store.known_versions(paths).items()}
    versions |= _read_versions([path for path in paths if path not in versions], store)
    own, reasons = rows["path"].tolist(), rows["reason"].tolist()
    wanted = [versions.get(path) if reason == "" else None for path, reason in zip(own, reasons)]
    return rows.assign(
        version=[item.version if item else "" for item in wanted],
        reason=[item.reason if item else reason for item, reason in zip(wanted, reasons)],
        path=[item.path if item else path for item, path in zip(wanted, own)],
    )


def _read_versions(paths: list[str], store: Store) -> dict[str, _Version]:
    if not paths:
        return {}
    # Handing a small file to a thread takes as long as its hash. A bucket takes 20 ms for each.
    size = 1 if is_url(store.root) else _FILES_PER_TASK
    groups = map(tuple, batches.batched(paths, size))
    threads = READERS if is_url(store.root) else None
    made = batches.ordered_thread_map(partial(_versions, store), groups, READERS, threads)
    return dict(progress.track(chain.from_iterable(group for _, group in made), len(paths), "file", "scan"))


def _apply_class_map(labelled: LabelledFiles, path: str | None) -> LabelledFiles:
    if path is None:
        return labelled
    file = Path(resolve(path))
    if not file.is_file():
        raise LayoutError(f"ingest.class_map: expected a CSV of label,class, found no file {path}")
    cells = read_cells(path, file.read_bytes())
    table = pd.DataFrame({column: cells.text(column) for column in cells.columns}, index=cells.numbers)
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
