"""List the input files of a source, with labels and with names that cannot be used."""

from pathlib import Path, PurePosixPath

import pandas as pd

from stages.core import tables
from stages.core.errors import UserError

# Line ends and control characters, with which class lists and tables could not be parsed.
_UNPRINTABLE = "[\\x00-\\x1f\\x7f\\x85\\u2028\\u2029\\ud800-\\udfff]"


class IngestError(UserError):
    """The source as a whole cannot be used."""


def list_files(source: Path) -> pd.DataFrame:
    """The columns `path`, `label`, `reason` of every input file, sorted by path.

    In a folder, the first folder of a path is the label; a file beside the class folders has none. Hidden files, whose
    names begin with a dot, are ignored. `reason` is empty if the file is to be inspected. Else it is `bad_name`, for
    a name that contains control characters and is listed escaped, or `outside`, for a path of a CSV that leaves the
    folder of the CSV. Raises IngestError, which names the source.
    """
    if source.suffix == ".csv":
        frame = tables.read(source, {"path": "str", "label": "str"})
        tables.require(source, ~frame["path"].duplicated(), frame["path"], "each path once")
    elif source.is_dir():
        paths = [p.relative_to(source) for p in source.rglob("*") if p.is_symlink() or not p.is_dir()]
        visible = [p for p in paths if not any(part.startswith(".") for part in p.parts)]
        rows = [(p.as_posix(), p.parts[0] if len(p.parts) > 1 else "") for p in visible]
        frame = pd.DataFrame(rows, columns=["path", "label"])
    else:
        raise IngestError(f"{source}: expected a folder of class folders or a CSV of path,label, found neither")
    if frame.empty:
        raise IngestError(f"{source}: expected photos in one folder per class, found no file; set ingest.source")
    return screen_paths(frame).sort_values("path", ignore_index=True)


def screen_paths(frame: pd.DataFrame) -> pd.DataFrame:
    """Add `reason` to the columns `path` and `label`, and escape control characters in the paths."""
    parts = frame["path"].map(PurePosixPath)
    leaves = parts.map(lambda path: path.is_absolute() or ".." in path.parts)
    is_bad = frame["path"].str.contains(_UNPRINTABLE) | frame["label"].str.contains(_UNPRINTABLE)
    reason = pd.Series("", frame.index).mask(leaves, "outside").mask(is_bad, "bad_name")
    path = frame["path"].str.replace(_UNPRINTABLE, lambda match: ascii(match.group())[1:-1], regex=True)
    label = frame["label"].mask(frame["label"].str.contains(_UNPRINTABLE), "")
    return pd.DataFrame({"path": path, "label": label, "reason": reason})
