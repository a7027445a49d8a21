"""The state of an unfinished training on disk, so that a broken session costs minutes."""

import hashlib
import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stages.core import atomic

_FACTS = "facts"
_CHUNK = 2**20


class Checkpoint:
    """One file, which belongs to one training alone: that of the `fingerprint`.

    It holds arrays and JSON, nothing that could run. A file that another training left, or that is damaged, counts for
    nothing.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path, self.fingerprint = path, fingerprint

    def save(self, arrays: Mapping[str, list[np.ndarray]], facts: Mapping[str, Any]) -> None:
        """Write lists of arrays by name, and facts that JSON can hold, whole or not at all."""
        flat = {f"{name}/{place}": array for name, found in arrays.items() for place, array in enumerate(found)}
        counts = {name: len(found) for name, found in arrays.items()}
        text = json.dumps({"fingerprint": self.fingerprint, "counts": counts, "facts": facts})
        with atomic.replacing(self.path) as temporary:
            np.savez(temporary, **{_FACTS: np.frombuffer(text.encode(), np.uint8)}, **flat)  # type: ignore[arg-type]

    def load(self) -> tuple[dict[str, list[np.ndarray]], dict[str, Any]] | None:
        """Return what `save` was given, or None where there is no whole file of this training."""
        try:
            with self.path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
                told = json.loads(archive[_FACTS].tobytes())
                if told["fingerprint"] != self.fingerprint:
                    return None
                arrays = {
                    name: [archive[f"{name}/{place}"] for place in range(count)]
                    for name, count in told["counts"].items()
                }
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
            return None
        return arrays, told["facts"]

    def remove(self) -> None:
        """Remove the file of a training that has ended."""
        self.path.unlink(missing_ok=True)


def fingerprint(facts: object, files: Iterable[str | Path]) -> str:
    """Return a SHA-256 in hex over `facts`, by what they print as, and over the content of files, in order."""
    digest = hashlib.sha256(repr(facts).encode())
    for file in files:
        digest.update(b"\0")
        with Path(file).open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                digest.update(chunk)
    return digest.hexdigest()
