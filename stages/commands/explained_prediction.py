"""Prediction that also draws a heat map for each photo into a folder."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from stages.commands import ensemble_heat_maps
from stages.commands.ensemble_heat_maps import PredictedPhoto
from stages.commands.trained_ensemble import EnsembleFiles, PhotoResult
from stages.core import atomic, batches, csv_file
from stages.core.errors import UserError
from stages.images import images

INDEX = "index.csv"
COLUMNS = ("heat_map", "path", "label", "probability")
_SIDE = 640
_MAX_NAME = 40


class HeatMapFolder:
    """A new or empty folder of pictures, named by number, photo, class and probability, and a table of them."""

    def __init__(self, folder: Path) -> None:
        """Raises UserError for a folder that has files, or a path that is none."""
        found = "a file" if folder.exists() and not folder.is_dir() else ""
        if folder.is_dir() and (first := next(folder.iterdir(), None)):
            found = f"one with {first.name}"
        if found:
            raise UserError(f"--explain {folder}: expected a new or empty folder, found {found}; name another one")
        self._folder, self._rows = folder, list[tuple[str, str, str, float]]()

    @property
    def n_pictures(self) -> int:
        """The number of pictures written."""
        return sum(name != "" for name, *_ in self._rows)

    def predict(self, paths: list[Path], files: EnsembleFiles) -> Iterator[tuple[int, PhotoResult]]:
        """Yield number and result of every photo, in order, and write its picture; at the end, the table.

        A photo that cannot be read has neither.
        """
        ensemble, maps = files.load(), ensemble_heat_maps.load(files)
        size = files.preprocessing().detect.inference.batch_size
        found = zip(enumerate(paths), ensemble.predict_with_inputs(paths))
        for batch in batches.batched(found, size):
            photos = [
                (number, path, result.probabilities, made)
                for (number, path), (result, made) in batch
                if result.probabilities is not None
            ]
            shown = [PredictedPhoto(made, int(values.argmax())) for _, _, values, made in photos]
            pictures = maps.draw(shown, [partial(images.load, path) for _, path, _, _ in photos], _SIDE)
            for (number, path, values, _), picture in zip(photos, pictures):
                best = int(values.argmax())
                self._write(number, (path, ensemble.classes[best], round(float(values[best]), 4)), picture)
            yield from ((number, result) for (number, _), (result, _) in batch)
        columns = zip(*self._rows) if self._rows else [()] * len(COLUMNS)
        csv_file.write(self._folder / INDEX, dict(zip(COLUMNS, columns)))

    def _write(self, number: int, photo: tuple[Path, str, float], picture: np.ndarray | None) -> None:
        """Write the picture of a photo: path, label and probability. Its row has no name if there is no picture."""
        path, label, probability = photo
        name = "" if picture is None else f"{number + 1:06d}_{_plain(path.stem)}_{_plain(label)}_{probability:.2f}.jpg"
        if picture is not None:
            atomic.write_bytes(self._folder / name, images.encode(picture, ".jpg"))
        self._rows.append((name, str(path), label, probability))


def _plain(text: str) -> str:
    """Letters and digits of a name, which any file system takes; the number in front makes names unique."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text)[:_MAX_NAME].strip("-")
