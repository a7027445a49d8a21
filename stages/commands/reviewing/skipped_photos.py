"""logs/review.json: the photos that were looked at without a decision, from sitting to sitting."""

import threading
from pathlib import Path

from stages.core import atomic, json_file
from stages.core.errors import UserError


class SkippedPhotos:
    """Their ids, in the file at `path`, which each addition rewrites. Raises UserError where it is damaged."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._ids = self._read()

    def ids(self) -> set[str]:
        """The ids."""
        with self._lock:
            return set(self._ids)

    def add(self, image_id: str) -> None:
        """Add a photo to those in the file, which another process may have written, too."""
        with self._lock:
            self._ids |= self._read() | {image_id}
            atomic.write_json(self._path, {"skipped": sorted(self._ids)})

    def _read(self) -> set[str]:
        found = json_file.read(self._path, ["skipped"], "delete it")["skipped"] if self._path.is_file() else []
        if not isinstance(found, list):
            raise UserError(f"{self._path}: expected a list as `skipped`, found {found!r}; delete it")
        return {text for text in found if isinstance(text, str)}
