"""Patterns of paths, such as `{split}/{label}/**`, and the pattern that the folders of a source show."""

import re
from collections.abc import Iterable
from typing import Any

import pandas as pd

from stages.scan import times
from stages.scan.rows import LayoutError, from_columns, split_of
from stages.sources.file_names import is_photo_name
from stages.sources.settings import GROUPS

Folders = tuple[str, ...]
CLASS_FOLDERS = "{label}/**"


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The expression of a pattern of whole paths.

    `{label}`, `{split}`, `{group}`, `{origin}` and `{time}` match text without a slash, as long as possible; `*`
    likewise, without a name; `**` matches any number of folders, and at the end of the pattern all that follows.
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

    A path that does not match has no label, nor has a file that is no photo by its name in a folder that is no split.
    Raises LayoutError where no path matches, for a folder with photos that should be a split and is none, and for a
    `{group}` that has one name below several labels.
    """
    names = list(paths)
    expression = compile_pattern(pattern)
    if names and not any(map(expression.fullmatch, names)):
        raise LayoutError(
            f"expected paths that match ingest.layout `{pattern}`, found others, such as {names[0]!a}; "
            "docs/data.md describes patterns"
        )
    rows = parse(names, pattern)
    if "{group}" in pattern.partition("{label}")[2]:
        _require_groups_of_one_label(rows, pattern)
    return rows


def _require_groups_of_one_label(rows: pd.DataFrame, pattern: str) -> None:
    """Raise LayoutError where groups of several labels have one name: `01` may be two cars, or one video."""
    pairs = rows.loc[rows["group"] != "", ["label", "group"]].drop_duplicates()
    repeated = pairs[pairs["group"].duplicated(keep=False)].sort_values(["group", "label"])
    if repeated.empty:
        return
    name = repeated["group"].iloc[0]
    labels = repeated.loc[repeated["group"] == name, "label"]
    own, shared = (pattern.replace("{group}", f"{{{other}}}") for other in ("label_group", "shared_group"))
    raise _ambiguous(
        f"the group {name} of {labels.iloc[0]} and of {labels.iloc[1]}",
        (own, "a group of its own in each label, such as one car"),
        (shared, "one group across labels, such as one video or one photographer"),
    )


def parse(paths: Iterable[str], pattern: str) -> pd.DataFrame:
    """As `read_pattern`, of any number of paths that match."""
    expression, names = compile_pattern(pattern), list(paths)
    # Below a folder, `*` and `**` match any name: the folder decides, and a photo's name whether a split is needed.
    is_of_folder, has_split = pattern.endswith(("/*", "/**")), "{split}" in pattern
    known: dict[tuple[str, bool], tuple[str, ...]] = {}
    parts = []
    for path in names:
        key = (path.rpartition("/")[0] if is_of_folder else path, has_split and is_photo_name(path))
        if key not in known:
            known[key] = _parts(path, expression.fullmatch(path), pattern)
        parts.append(known[key])
    columns: dict[str, Any] = dict(zip(("split", "label", "group", "origin", "time"), zip(*parts)))
    if "{time}" in pattern:
        columns["time"] = times.read(columns["time"], lambda row, text: LayoutError(f"{names[row]}: {{time}}: {text}"))
    else:
        columns.pop("time", None)
    return from_columns({"path": names, **columns}, len(names))


def _parts(path: str, match: re.Match[str] | None, pattern: str) -> tuple[str, ...]:
    """The split, label, group, origin and time of a path, empty where the pattern has none."""
    found = match.groupdict() if match else {}
    split = split_of(found["split1"]) if "split1" in found else ""
    if split is None and is_photo_name(path):
        raise LayoutError(
            f"{path}: expected train, val or test as the split of ingest.layout `{pattern}`, found "
            f"`{found['split1']}`; rename the folder, move it out of the source, or set ingest.layout"
        )
    if split is None:
        return "", "", "", "", ""
    label = "/".join(value for key, value in found.items() if key.rstrip("0123456789") == "label")
    group = next((found[f"{name}1"] for name in GROUPS if f"{name}1" in found), "")
    group = f"{label}/{group}" if "label_group1" in found else group
    return split, label, group, *(found.get(f"{name}1", "") for name in ("origin", "time"))


def guess_pattern(paths: Iterable[str]) -> str:
    """The pattern of a folder of photos.

    Raises LayoutError, naming both readings, where the folders can be read in two ways, and where no folder can be a
    class.
    """
    names = list(paths)
    if not names:
        raise LayoutError("expected photos in one folder per class, found no file that can be read; set ingest.source")
    photos = [path for path in names if is_photo_name(path)] or names
    folders = sorted({path.rpartition("/")[0] for path in photos} - {""})
    if not folders:
        raise LayoutError(
            f"expected one folder per class, found {len(photos)} photos without a folder; use a table of path,label, "
            "or set ingest.layout to a pattern of the names, such as `{label}_*`"
        )
    return _pattern_of([tuple(folder.split("/")) for folder in folders])


def _pattern_of(folders: list[Folders], around: str = "") -> str:
    """The pattern of folders inside folders of the pattern `around`."""
    tops = sorted({parts[0] for parts in folders})
    below = [parts[1:] for parts in folders]
    splits = [top for top in tops if split_of(top)]
    if len(splits) == len(tops):
        return _split_pattern(folders, around)
    if splits and (len(splits) > 1 or all(below[i] for i, parts in enumerate(folders) if parts[0] in splits)):
        others = ", ".join(top for top in tops if top not in splits)
        raise _ambiguous(
            f"the folders {', '.join(splits)} beside {others}",
            (around + CLASS_FOLDERS, f"{len(tops)} classes, {tops[0]} among them"),
            (around + "{split}/{label}/**", f"given splits, once {others} is moved elsewhere"),
        )
    if len(tops) == 1 and any(below):
        return _pattern_of([parts for parts in below if parts], f"{around}*/")
    return _class_pattern(folders, around)


def _split_pattern(folders: list[Folders], around: str) -> str:
    """The pattern of folders all of which have the names of splits."""
    below = [parts[1:] for parts in folders if len(parts) > 1]
    names = sorted({parts[0] for parts in folders})
    if not below:
        raise _ambiguous(
            f"photos directly in {', '.join(names)}",
            (around + CLASS_FOLDERS, f"classes of the names {', '.join(names)}"),
            ("table", "given splits, with the labels in a table as ingest.source"),
        )
    return _class_pattern(below, f"{around}{{split}}/")


def _class_pattern(folders: list[Folders], around: str) -> str:
    """The pattern of folders none of which is a split."""
    second = sorted({parts[1] for parts in folders if len(parts) > 1})
    tops = sorted({parts[0] for parts in folders})
    # One photo beside folders says little: folders of classes have photos in each, or in none.
    if len(second) < 2 or {parts[0] for parts in folders if len(parts) < 2} == set(tops):
        return around + CLASS_FOLDERS
    example = "/".join(next(parts for parts in folders if parts[1:2] == (second[0],))[:2])
    if "{split}" not in around and all(split_of(name) for name in second):
        other = ("{label}/{split}/**", f"given splits: {', '.join(second)}")
    else:
        other = ("*/{label}/**", f"{len(second)} classes, such as {second[0]}")
    raise _ambiguous(
        f"folders in folders, such as {example}",
        (around + CLASS_FOLDERS, f"{len(tops)} classes, such as {tops[0]}"),
        (around + other[0], other[1]),
    )


def _ambiguous(found: str, *readings: tuple[str, str]) -> LayoutError:
    texts = " or ".join(f"`{layout}` ({meaning})" for layout, meaning in readings)
    return LayoutError(f"{found} can be read in two ways: set ingest.layout to {texts}")
