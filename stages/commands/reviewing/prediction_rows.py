"""Rows of probability tables, read when a photo is shown: whole tables of many photos would fill the memory."""

import csv
from pathlib import Path

import numpy as np

from stages.core.errors import TableError


class PredictionRows:
    """The rows of one probability table by image id, for N photos and `classes`; keeps a place per row.

    Raises TableError where the table is missing or has other classes.
    """

    def __init__(self, path: Path, classes: list[str]) -> None:
        self._path, self._n_classes = path, len(classes)
        self._places: dict[str, int] = {}
        try:
            with path.open("rb") as file:
                self._require_header(file.readline(), classes)
                place = file.tell()
                for line in file:
                    self._places[_id_of(line)] = place
                    place += len(line)
        except FileNotFoundError:
            raise TableError(f"{path}: expected a probability table, found none; run `dvc repro`") from None

    def __contains__(self, image_id: str) -> bool:
        return image_id in self._places

    def read(self, image_id: str) -> np.ndarray | None:
        """The probabilities (C,) float64 of a photo, in the order of the classes; None where the table lacks it.

        Raises TableError where the table was written anew meanwhile, or a value is no probability.
        """
        if image_id not in self._places:
            return None
        with self._path.open("rb") as file:
            file.seek(self._places[image_id])
            line = file.readline()
        if _id_of(line) != image_id:
            raise TableError(f"{self._path}: expected the table of the start, found another; start `review` again")
        return self._parse(line)

    def _require_header(self, line: bytes, classes: list[str]) -> None:
        found = next(csv.reader([line.decode("utf-8-sig", "replace").rstrip("\r\n")]), [])
        if found != ["image_id", *classes]:
            names = ", ".join(["image_id", *classes])
            raise TableError(f"{self._path}: expected columns {names}, found {', '.join(found)}; run `dvc repro`")

    def _parse(self, line: bytes) -> np.ndarray:
        cells = line.decode("utf-8", "replace").split(",")[1:]
        try:
            values = np.array([float(cell) for cell in cells])
        except ValueError:
            values = np.full(0, np.nan)
        if values.shape != (self._n_classes,) or not ((values >= 0) & (values <= 1)).all():
            found = line[:60].decode("utf-8", "replace")
            raise TableError(f"{self._path}: expected {self._n_classes} probabilities of 0..1, found {found!r}")
        return values


def _id_of(line: bytes) -> str:
    return line.partition(b",")[0].decode("ascii", "replace")
