"""The photos of the manifest, read from the labelled or the unlabelled source."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Protocol

from stages.schemas.manifest import UNLABELLED
from stages.sources.file_names import annotation_name
from stages.sources.settings import SourceSettings
from stages.sources.store import SourceError, Store, is_url, open_store, resolve

# Photos on their way from a server at a time: a request takes some 50 ms, decoding some 5 ms.
READERS = 16
_MAX_UNREADABLE = 0.01


def require_reachable(settings: SourceSettings, splits: Iterable[str], reasons: Iterable[str]) -> None:
    """Raise SourceError if a server did not give more than 1 % of its photos: an outage must not reject photos.

    `splits` and `reasons` are those of rows of the manifest; the labelled and the unlabelled source count apart.
    """
    if not any(map(is_url, (settings.source, settings.unlabelled or ""))):
        return
    rows = list(zip(splits, reasons))
    _require_reachable(settings.source, [reason for split, reason in rows if split != UNLABELLED])
    _require_reachable(settings.unlabelled or "", [reason for split, reason in rows if split == UNLABELLED])


def _require_reachable(source: str, reasons: list[str]) -> None:
    unread = reasons.count("unreadable")
    if is_url(source) and unread > _MAX_UNREADABLE * len(reasons):
        raise SourceError(
            f"{source}: expected at most {_MAX_UNREADABLE:.0%} of files that the server refuses, found {unread} "
            f"of {len(reasons)}; check network and permissions, and run `dvc repro` again"
        )


class ReadsPhotos(Protocol):
    """What reads the photos of the manifest, in `threads` threads: as many as cores where that is None."""

    @property
    def threads(self) -> int | None: ...

    def load(self, path: str, image_id: str, split: str) -> bytes:
        """The bytes of a row of the manifest. Raises images.ImageError, as Store.load does."""


def absolute(settings: SourceSettings) -> SourceSettings:
    """The settings with local sources as absolute paths, for a process in another working directory."""
    paths = {name: getattr(settings, name) for name in ("source", "root", "unlabelled")}
    local = {name: path for name, path in paths.items() if path is not None and not is_url(path)}
    return settings.replace(**{name: str(Path(resolve(path)).absolute()) for name, path in local.items()})


class Photos:
    """The files of a source and of its photos to predict; each is opened when it is first read, by any thread."""

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings

    @property
    def threads(self) -> int | None:
        """The threads to read photos in: many where a server is waited for, else as many as processors (None)."""
        return READERS if is_url(self._settings.source) or is_url(self._settings.unlabelled or "") else None

    def store(self, split: str) -> Store:
        """The store of a row of data/files.csv or data/manifest.csv with this `split`."""
        return self._unlabelled if split == UNLABELLED else self._labelled

    def load(self, path: str, image_id: str, split: str) -> bytes:
        """The bytes of a row of the manifest. Raises images.ImageError, as Store.load does."""
        return self.store(split).load(path, image_id or None)

    @cached_property
    def _labelled(self) -> Store:
        return self._open(self._settings.source)

    @cached_property
    def _unlabelled(self) -> Store:
        return self._open(self._settings.unlabelled or self._settings.source)

    def _open(self, source: str) -> Store:
        root = self._settings.root
        return open_store(resolve(root if root is not None and annotation_name(source) else source))
