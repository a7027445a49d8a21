"""The class map: labels renamed, merged and dropped, without a change to the photos."""

import difflib
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

import pandas as pd

from stages.scan.rows import LayoutError

DROPPED = "dropped_class"
# Line ends, control characters and bytes that are no text: class lists and tables could not be parsed.
UNPRINTABLE = "[\\x00-\\x1f\\x7f\\x85\\u2028\\u2029\\ud800-\\udfff]"


class MappedLabels(NamedTuple):
    """The class of each label; `unused` are entries of the map that no label matches, each with the nearest label."""

    classes: dict[str, str]
    unused: list[str]


def folded(label: str) -> str:
    """A label without case, spaces and differences of Unicode form, to compare labels by."""
    return "".join(unicodedata.normalize("NFKC", label).casefold().split())


def check_map(name: str, table: pd.DataFrame) -> None:
    """Raise LayoutError unless the columns `label` and `class` of a class map give each label one class.

    The index of `table` is the row in the file.
    """
    missing = [column for column in ("label", "class") if column not in table.columns]
    if missing:
        raise LayoutError(f"{name}: expected the columns label,class, found {', '.join(table.columns)}")
    repeated = table.loc[table["label"].duplicated(), "label"]
    if len(repeated):
        raise LayoutError(f"{name}: expected each label once, found `{repeated.iloc[0]}` again")
    if (table["label"] == "").any():
        raise LayoutError(f"{name}: row {table.index[table['label'] == ''][0]}: expected a label, found none")
    unprintable = table["class"].str.contains(UNPRINTABLE)
    if unprintable.any():
        found = ascii(table.loc[unprintable, "class"].iloc[0])
        raise LayoutError(f"{name}: expected classes on one line, without control characters, found {found}")


def map_labels(labels: Iterable[str], table: pd.DataFrame) -> MappedLabels:
    """Map labels to classes by the columns `label` and `class` of `table`; a label that it does not name stays.

    An entry matches its own label exactly. An entry whose folded label no other entry shares also matches every label
    that differs from it only in case, spaces and Unicode form, so that one line merges all of them. Spaces around a
    class are left out.
    """
    exact = dict(zip(table["label"], table["class"].str.strip()))
    by_folded: dict[str, set[str]] = {}
    for label in exact:
        by_folded.setdefault(folded(label), set()).add(label)
    unique = {key: next(iter(entries)) for key, entries in by_folded.items() if len(entries) == 1}
    names = sorted(set(labels) - {""})
    matched = {name: name if name in exact else unique.get(folded(name), "") for name in names}
    unused = sorted(set(exact) - set(matched.values()))
    return MappedLabels(
        {name: exact[entry] if entry else name for name, entry in matched.items()},
        [_nearest(entry, names) for entry in unused],
    )


def _nearest(entry: str, names: list[str]) -> str:
    near = difflib.get_close_matches(entry, names, n=1)
    return f"`{entry}`" + (f" (nearest label: `{near[0]}`)" if near else "")


def apply(frame: pd.DataFrame, classes: dict[str, str]) -> pd.DataFrame:
    """Replace the column `label` of rows; rows whose class is empty get the reason `dropped_class`."""
    mapped = frame.assign(label=frame["label"].map(lambda label: classes.get(label, label)))
    is_dropped = (frame["label"] != "") & (mapped["label"] == "") & (frame["reason"] == "")
    return mapped.assign(reason=mapped["reason"].mask(is_dropped, DROPPED))
