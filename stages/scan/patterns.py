"""Patterns of paths, such as `{split}/{label}/**`, and the pattern that the folders of a source show."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

import pandas as pd

from stages.scan.rows import LayoutError, split_of
from stages.scan.rows import rows as records_to_rows
from stages.sources.file_names import is_photo_name

Folders = tuple[str, ...]
CLASS_FOLDERS = "{label}/**"


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The expression of a pattern of whole paths.

    `{label}`, `{split}` and `{group}` match text without a slash, as long as possible; `*` likewise, without a name;
    `**` matches any number of folders, and at the end of the pattern all that follows.
    """
    parts = pattern.split("/")
    expressions = ["(?:[^/]+/)*" if part == "**" else f"{_segment(part)}/" for part in parts[:-1]]
    last = ".+" if parts[-1] == "**" else _segment(parts[-1])
    counts: dict[str, int] = {}

    def numbered(match: re.Match[str]) -> str:
        counts[match[1]] = counts.get(match[1], 0) + 1
        return f"(?P<{match[1]}{counts[match[1]]}>"

    return re.compile(re.sub(r"\(\?P<(\w+)>", numbered, "".join(expressions) + last), re.DOTALL)


def _segment(text: str) -> str:
    pieces = re.split(r"(\{\w+\}|\*)", text)
    named = {piece: f"(?P<{piece[1:-1]}>[^/]+)" for piece in pieces if piece.startswith("{")}
    return "".join(named.get(piece) or ("[^/]*" if piece == "*" else re.escape(piece)) for piece in pieces)


def read_pattern(paths: Iterable[str], pattern: str) -> pd.DataFrame:
    """The rows of files whose label, split and group are parts of their paths; see stages.scan.rows.

    A path that does not match has no label. Raises LayoutError for a folder that should be a split and is none.
    """
    expression = compile_pattern(pattern)
    records = []
    for path in paths:
        match = expression.fullmatch(path)
        found = match.groupdict() if match else {}
        record = {name: "/".join(v for k, v in found.items() if k.startswith(name)) for name in ("label", "group")}
        records.append({"path": path, **record, "split": _split(path, found.get("split1"), pattern)})
    return records_to_rows(records)


def _split(path: str, name: str | None, pattern: str) -> str:
    if name is None:
        return ""
    split = split_of(name)
    if split is None:
        raise LayoutError(
            f"{path}: expected train, val or test as the split of ingest.layout `{pattern}`, found `{name}`; rename the "
            "folder, move it out of the source, or set ingest.layout"
        )
    return split


def guess_pattern(paths: Iterable[str]) -> str:
    """The pattern of a folder of photos.

    Raises LayoutError, naming both readings, where the folders can be read in two ways, and where no folder can be a
    class.
    """
    names = list(paths)
    if not names:
        raise LayoutError("expected photos in one folder per class, found no file that can be read; set ingest.source")
    photos = [path for path in names if is_photo_name(path)] or names
    folders = [PurePosixPath(path).parts[:-1] for path in photos]
    if not any(folders):
        raise LayoutError(
            f"expected one folder per class, found {len(photos)} photos without a folder; use a table of path,label, or "
            "set ingest.layout to a pattern of the names, such as `{label}_*`"
        )
    return _pattern_of([parts for parts in folders if parts])


def _pattern_of(folders: list[Folders]) -> str:
    tops = sorted({parts[0] for parts in folders})
    below = [parts[1:] for parts in folders]
    splits = [top for top in tops if split_of(top)]
    if len(splits) == len(tops):
        return _split_pattern(folders)
    if splits and (len(splits) > 1 or all(below[i] for i, parts in enumerate(folders) if parts[0] in splits)):
        others = ", ".join(top for top in tops if top not in splits)
        raise _ambiguous(
            f"the folders {', '.join(splits)} beside {others}",
            (CLASS_FOLDERS, f"{len(tops)} classes, {tops[0]} among them"),
            ("{split}/{label}/**", f"given splits, once {others} is moved elsewhere"),
        )
    if len(tops) == 1 and all(below):
        return f"*/{_pattern_of(below)}"
    return _class_pattern(folders)


def _split_pattern(folders: list[Folders]) -> str:
    """The pattern of folders all of which have the names of splits."""
    below = [parts[1:] for parts in folders if len(parts) > 1]
    names = sorted({parts[0] for parts in folders})
    if not below:
        raise _ambiguous(
            f"photos directly in {', '.join(names)}",
            (CLASS_FOLDERS, f"classes of the names {', '.join(names)}"),
            ("table", "given splits, with the labels in a table as ingest.source"),
        )
    return "{split}/" + _class_pattern(below)


def _class_pattern(folders: list[Folders]) -> str:
    """The pattern of folders below the splits."""
    second = sorted({parts[1] for parts in folders if len(parts) > 1})
    tops = sorted({parts[0] for parts in folders})
    if len(second) < 2 or any(len(parts) < 2 for parts in folders):
        return CLASS_FOLDERS
    example = "/".join(next(parts for parts in folders if parts[1] == second[0])[:2])
    if all(split_of(name) for name in second):
        other = ("{label}/{split}/**", f"given splits: {', '.join(second)}")
    else:
        other = ("*/{label}/**", f"{len(second)} classes, such as {second[0]}")
    raise _ambiguous(
        f"folders in folders, such as {example}", (CLASS_FOLDERS, f"{len(tops)} classes, such as {tops[0]}"), other
    )


def _ambiguous(found: str, *readings: tuple[str, str]) -> LayoutError:
    texts = " or ".join(f"`{layout}` ({meaning})" for layout, meaning in readings)
    return LayoutError(f"{found} can be read in two ways: set ingest.layout to {texts}")
