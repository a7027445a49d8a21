"""The rows of data/files.csv: every file of the source with its label, and a version by which changes are noticed."""

import posixpath
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from stages.core import batches, memory, progress
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
from stages.sources.store import Store, is_url, open_store, resolve

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
    # A concatenation copies even a single table.
    rows = pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]
    return Scan(rows[list(files.COLUMNS)], labelled.layout, remarks)


def _remarks(rows: pd.DataFrame, settings: SourceSettings) -> list[str]:
    """What is probably not meant: photos without a label or a given split beside others, a root that nothing reads."""
    remarks = []
    is_usable, is_labelled, has_split = rows["reason"] == "", rows["label"] != "", rows["split"] != ""
    unlabelled = [path for path in rows.loc[is_usable & ~is_labelled, "path"] if is_photo_name(path)]
    if unlabelled:
        remarks.append(
            f"{len(unlabelled)} photos have no label and are not used, such as {unlabelled[0]}; photos to predict "
            "belong to ingest.unlabelled"
        )
    without = rows.loc[is_usable & is_labelled & ~has_split, "path"]
    if len(without) > 0 and (is_usable & has_split).any():
        remarks.append(
            f"{len(without)} labelled photos have no given split, others have, such as {without.iloc[0]}; they are "
            "treated as train"
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
    readable, reasons = ([], {}) if is_table_name(name) else _listed(photos)
    if not readable and not is_table_name(name):
        raise LayoutError(f"{source}: expected photos, found no file that can be read{_first_reason(reasons)}")
    try:
        labelled = read(readable, own.load)
        memory.release()
        _require_pixels(labelled.rows)
        rows = _with_unreadable(labelled, reasons)
    except LayoutError as error:
        raise LayoutError(f"{source}: {error}") from None
    if is_table_name(name):
        rows = rows.assign(path=_below(rows["path"], photos.root))
    return labelled._replace(rows=_sorted(_with_versions(_screen(rows), photos)))


def _listed(store: Store) -> tuple[list[str], dict[str, str]]:
    """The paths of the files that can be read, and the reasons, by path, of the others."""
    listed = store.list_files()
    return [path for path, reason in listed if not reason], {path: reason for path, reason in listed if reason}


def _sorted(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows by path; those of a folder are in this order, and are not copied."""
    paths = rows["path"].tolist()
    return rows if paths == sorted(paths) else rows.sort_values("path", kind="stable", ignore_index=True)


def _require_pixels(rows: pd.DataFrame) -> None:
    """Raise LayoutError where all boxes could be shares of the photo's sides: as pixels they would be of one pixel."""
    boxes = rows.loc[rows[BOX].notna().all(axis=1), BOX]
    if len(boxes) and boxes.to_numpy().min() >= 0 and boxes.to_numpy().max() <= 1:
        raise LayoutError(
            f"expected boxes in pixels, found shares of the photo's width and height, 0 to 1, in each of {len(boxes)}, "
            f"such as {', '.join(f'{side:g}' for side in boxes.iloc[0])} ({rows['path'][boxes.index[0]]!a}); multiply "
            "them by the size of the photo"
        )


def _first_reason(reasons: dict[str, str]) -> str:
    return next((f", {path!a} is {reason}" for path, reason in reasons.items()), "")


def _with_unreadable(labelled: LabelledFiles, reasons: dict[str, str]) -> pd.DataFrame:
    """Add a row, or the reason to the rows, of each listed entry that cannot be read, given with its reason.

    Where labels are parts of paths, the row has its label: else a class could be lost without notice.
    """
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


def _with_versions(rows: pd.DataFrame, store: Store) -> pd.DataFrame:
    """The rows with their `version`, or the `reason` why there is none."""
    is_wanted = rows["reason"] == ""
    numbers, paths = pd.factorize(rows.loc[is_wanted, "path"])
    found = _versions(paths.tolist(), store)
    # Several objects may be of one photo.
    found = found if len(found) == len(numbers) else found.take(numbers)
    found = found.set_index(rows.index[is_wanted]).reindex(rows.index)
    own = rows.assign(version="")
    return own.assign(**{name: found[name].where(is_wanted, own[name]) for name in _Version._fields})


def _versions(paths: list[str], store: Store) -> pd.DataFrame:
    """A row with the fields of `_Version` for each path, in order."""
    threads = READERS if is_url(store.root) else None
    made = batches.ordered_thread_map(partial(_task_versions, store), _version_tasks(paths, store), READERS, threads)
    tracked = progress.track(chain.from_iterable(group for _, group in made), len(paths), "file", "scan")
    # Each part becomes a table at once: as Python values they take several times the memory.
    parts = [_version_table(some) for some in batches.batched(tracked, batches.ROWS_AT_ONCE)]
    return pd.concat([_version_table([]), *parts], ignore_index=True)


def _version_table(rows: list[_Version]) -> pd.DataFrame:
    kinds: dict[str, Any] = {"path": TEXT, "version": str, "reason": TEXT}
    columns = zip(*rows) if rows else [()] * len(kinds)
    made = {name: pd.Series(values, dtype=kind) for (name, kind), values in zip(kinds.items(), columns)}
    return pd.DataFrame(made, copy=False)


class _VersionTask(NamedTuple):
    """Paths for one thread, and the versions of those that are known."""

    paths: list[str]
    known: dict[str, str]


def _version_tasks(paths: list[str], store: Store) -> Iterator[_VersionTask]:
    # Handing a small file to a thread takes as long as its hash. A bucket takes 20 ms for each.
    size = 1 if is_url(store.root) else _FILES_PER_TASK
    for some in batches.batched(paths, batches.ROWS_AT_ONCE):
        # In one thread: threads that look up what is known take Python's lock from each other. They read what is new.
        known = store.known_versions(some)
        for group in batches.batched(some, size):
            yield _VersionTask(group, {path: known[path] for path in group if path in known})


def _task_versions(store: Store, task: _VersionTask) -> list[_Version]:
    return [
        _Version(path, task.known[path], "") if path in task.known else _version(store, path) for path in task.paths
    ]


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
