"""logs/review.json: the photos that were looked at without a decision, from sitting to sitting."""

import threading
from pathlib import Path

from stages.core import atomic, json_file


class SkippedPhotos:
    """Their ids, in the file at `path`, which each addition rewrites. Raises UserError where it is damaged."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        found = json_file.read(path, ["skipped"], "delete it")["skipped"] if path.is_file() else []
        self._ids = {text for text in found if isinstance(text, str)}

    def ids(self) -> set[str]:
        """The ids."""
        with self._lock:
            return set(self._ids)

    def add(self, image_id: str) -> None:
        """Add a photo, and write the file."""
        with self._lock:
            self._ids.add(image_id)
            atomic.write_json(self._path, {"skipped": sorted(self._ids)})
