"""What the last run of `scan` wrote, which is taken again where nothing that it depends on has changed.

With many photos nearly all runs find nothing new, and a listing takes a fraction of the time of reading it.
"""

import hashlib
import json
import time
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import stages
from stages.core import atomic
from stages.sources.file_names import annotation_name
from stages.sources.folder import FolderStore
from stages.sources.hash_cache import CLOCK_NS
from stages.sources.settings import SourceSettings
from stages.sources.store import is_url, resolve

# What reads and writes tables.
_PACKAGES = ("numpy", "pandas", "pyarrow")


class ScanResult(NamedTuple):
    """What a run writes and prints: data/files.csv, counts, `remarks` for the user, rows without and with a reason."""

    table: bytes
    details: dict[str, Any]
    remarks: list[str]
    n_files: int
    n_not_used: int


def key_of(settings: SourceSettings) -> str:
    """A digest of all that a result depends on; empty where only reading the source tells whether it changed.

    That is so of anything but local folders, and of files that changed so lately that they could change again without
    a new time stamp.
    """
    started = time.time_ns()
    sources = [source for source in (settings.source, settings.unlabelled) if source is not None]
    folders = [Path(resolve(source.removeprefix("file://"))).absolute() for source in sources]
    if not all(_is_folder(source, folder) for source, folder in zip(sources, folders)):
        return ""
    contents = [FolderStore(folder).contents() for folder in folders]
    if any(found.changed_ns + CLOCK_NS >= started for found in contents):
        return ""
    class_map = Path(resolve(settings.class_map)) if settings.class_map is not None else None
    facts = (
        settings.model_dump_json(),
        [(str(folder), found.digest) for folder, found in zip(folders, contents)],
        _digest([class_map] if class_map is not None and class_map.is_file() else []),
        _digest(sorted(Path(stages.__file__).parent.rglob("*.py"))),
        [metadata.version(name) for name in _PACKAGES],
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def recall(folder: Path, key: str) -> ScanResult | None:
    """The result that is remembered in `folder` under this key; None where there is none, or it is damaged."""
    try:
        known = json.loads((folder / "result.json").read_text(encoding="utf-8"))
        table = (folder / "files.csv").read_bytes()
        is_current = key != "" and known["key"] == key and known["table"] == hashlib.sha256(table).hexdigest()
        return ScanResult(table, **known["result"]) if is_current else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember(folder: Path, key: str, result: ScanResult) -> None:
    """Keep a result in `folder` in place of the one before; only that of a key is worth it."""
    (folder / "result.json").unlink(missing_ok=True)
    if key:
        known = result._asdict()
        digest = hashlib.sha256(known.pop("table")).hexdigest()
        atomic.write_bytes(folder / "files.csv", result.table)
        atomic.write_json(folder / "result.json", {"key": key, "table": digest, "result": known})


def _is_folder(source: str, folder: Path) -> bool:
    return not is_url(source.removeprefix("file://")) and not annotation_name(source) and folder.is_dir()


def _digest(files: Iterable[Path]) -> str:
    total = hashlib.sha256()
    for path in files:
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
