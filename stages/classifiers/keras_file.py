"""`.keras` files whose bytes depend on the model alone."""

import json
import tempfile
from pathlib import Path
from typing import Any

from stages.classifiers.engine import keras
from stages.core import archive
from stages.core.archive import Archive


def save(model: keras.Model, path: Path) -> None:
    """Write `model` to `path`, whole or not at all; equal models give equal bytes.

    Keras stamps its archives with dates and numbers shared objects by their address in memory; neither means
    anything to a reader, so dates are dropped and the objects numbered in the order in which they occur.
    """
    with tempfile.TemporaryDirectory() as folder:
        stamped = Path(folder) / path.name
        model.save(stamped)
        written = Archive(stamped)
        with archive.writing(path) as add:
            for name in sorted(written.names):
                add(name, _normalised(name, written.read(name)))


def _normalised(name: str, data: bytes) -> bytes:
    if not name.endswith(".json"):
        return data
    value = json.loads(data)
    if name == "metadata.json":
        value.pop("date_saved", None)
    return json.dumps(_renumbered(value, {}), sort_keys=True).encode()


def _renumbered(value: Any, numbers: dict[int, int]) -> Any:
    if isinstance(value, list):
        return [_renumbered(item, numbers) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: numbers.setdefault(item, len(numbers) + 1) if key == "shared_object_id" else _renumbered(item, numbers)
        for key, item in sorted(value.items())
    }
