"""`.keras` files whose bytes depend on the model alone."""

import json
import zipfile
from pathlib import Path
from typing import Any

from stages.learning.engine import keras
from stages.records import atomic

# The earliest date that a zip archive can hold.
_DATE = (1980, 1, 1, 0, 0, 0)


def save(model: keras.Model, path: Path) -> None:
    """Write `model` to `path`, whole or not at all; equal models give equal bytes.

    Keras stamps its archives with dates and numbers shared objects by their address in memory; neither means
    anything to a reader, so dates are dropped and the objects numbered in the order in which they occur.
    """
    with atomic.replacing(path) as temporary:
        model.save(temporary)
        with zipfile.ZipFile(temporary) as archive:
            content = {name: archive.read(name) for name in sorted(archive.namelist())}
        with zipfile.ZipFile(temporary, "w") as archive:
            for name, data in content.items():
                archive.writestr(zipfile.ZipInfo(name, _DATE), _normalised(name, data))


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
