"""The checkpoint of an unfinished training: an interruption costs minutes, not the training."""

import hashlib
import json
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from stages.core import atomic

_HEADER = "header"
_CHUNK_BYTES = 2**20


class Checkpoint:
    """One file of arrays and JSON, no pickles, that belongs to the training with this `fingerprint`.

    A damaged file, or one of another training, is treated as no file.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self.path, self.fingerprint = path, fingerprint

    def save(self, arrays: Mapping[str, list[np.ndarray]], metadata: Mapping[str, Any]) -> None:
        """Replace the file, atomically, by lists of arrays by name and by `metadata`, which JSON can hold."""
        flat = {f"{name}/{index}": array for name, values in arrays.items() for index, array in enumerate(values)}
        counts = {name: len(values) for name, values in arrays.items()}
        header = json.dumps({"fingerprint": self.fingerprint, "counts": counts, "metadata": metadata})
        flat[_HEADER] = np.frombuffer(header.encode(), np.uint8)
        with atomic.replacing(self.path) as temporary:
            np.savez(temporary, **flat)  # type: ignore[arg-type]

    def load(self) -> tuple[dict[str, list[np.ndarray]], dict[str, Any]] | None:
        """Return the arrays and the metadata of `save`, or None without an intact file of this training."""
        try:
            with self.path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
                header = json.loads(archive[_HEADER].tobytes())
                if header["fingerprint"] != self.fingerprint:
                    return None
                counts = header["counts"].items()
                arrays = {name: [archive[f"{name}/{index}"] for index in range(count)] for name, count in counts}
        except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile):
            return None
        return arrays, header["metadata"]

    def remove(self) -> None:
        """Remove the file, if there is one, after the training has ended."""
        self.path.unlink(missing_ok=True)


def fingerprint(facts: object, files: Iterable[str | Path]) -> str:
    """Return a SHA-256 in hex over the `repr` of `facts` and over the bytes of `files`, in their order."""
    digest = hashlib.sha256(repr(facts).encode())
    for file in files:
        digest.update(b"\0")
        with Path(file).open("rb") as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()
