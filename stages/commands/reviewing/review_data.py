"""The results of the last run, as the review needs them: tables that a run did not make are left out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from stages.commands.reviewing import queue
from stages.commands.reviewing.prediction_rows import PredictionRows
from stages.commands.reviewing.queue import ReviewQueue, ReviewTables
from stages.images import boxes
from stages.schemas import class_list, crops, issues, manifest, masks, predictions

Table = TypeVar("Table")
_OPTIONAL = ("issues.csv", "boxes.csv", "masks.csv", "ensemble_predictions.csv")


@dataclass(frozen=True)
class ReviewData:
    """The `queue`, the `classes`, the main car's box of a photo, and who predicts it.

    `models` are the ensemble and its models, `probes` the linear probes, which also predict train; `missing` the
    tables that there are none of.
    """

    queue: ReviewQueue
    classes: list[str]
    boxes: pd.DataFrame
    models: dict[str, PredictionRows]
    probes: dict[str, PredictionRows]
    missing: list[str]

    def box(self, image_id: str) -> list[float] | None:
        """The corners of the chosen box in pixels of the upright photo; None where there is none."""
        if image_id not in self.boxes.index:
            return None
        return self.boxes.loc[[image_id]].to_numpy(dtype=float)[0].tolist()

    def predicted(self, image_id: str) -> dict[str, np.ndarray]:
        """The probabilities (C,) of a photo by the name of what predicted them, the ensemble first.

        Of photos that no model has predicted out of sample, those of the linear probes, out of fold; their mean first.
        """
        found = _read_rows(self.models, image_id)
        if found:
            return found
        found = {f"probe {name}": values for name, values in _read_rows(self.probes, image_id).items()}
        return {"mean of probes": np.mean(list(found.values()), axis=0), **found} if len(found) > 1 else found


def read(folder: Path, models: list[str], corrected: list[str]) -> ReviewData:
    """Read the tables in `folder`; `corrected` are the ids of photos with decisions.

    `models` are the names in params.yaml: the folders may also hold tables of others, and other tables.

    Raises TableError where the manifest or the classes are missing, or any table is damaged.
    """
    classes = class_list.read_classes(folder / "classes.txt")
    cut = _optional(folder / "boxes.csv", crops.read)
    predicted = {name: folder / "predictions" / f"{name}.csv" for name in sorted(models)}
    tables = ReviewTables(
        photos=manifest.read(folder / "manifest.csv"),
        boxes=cut,
        masks=_optional(folder / "masks.csv", masks.read),
        issues=_optional(folder / "issues.csv", issues.read),
        predicted=_optional(folder / "ensemble_predictions.csv", lambda path: predictions.read(path, classes)),
        corrected=corrected,
    )
    return ReviewData(
        queue.build(tables),
        classes,
        _chosen_boxes(cut),
        _prediction_rows({"ensemble": folder / "ensemble_predictions.csv", **predicted}, classes),
        _prediction_rows({name: folder / "probes" / f"{name}.csv" for name in sorted(models)}, classes),
        [name for name in _OPTIONAL if not (folder / name).is_file()],
    )


def _optional(path: Path, read_table: Callable[[Path], Table]) -> Table | None:
    return read_table(path) if path.is_file() else None


def _prediction_rows(paths: Mapping[str, Path], classes: list[str]) -> dict[str, PredictionRows]:
    return {name: PredictionRows(path, classes) for name, path in paths.items() if path.is_file()}


def _chosen_boxes(cut: pd.DataFrame | None) -> pd.DataFrame:
    if cut is None:
        return pd.DataFrame(columns=boxes.COLUMNS)
    chosen = cut[cut["is_cropped"] & (cut["image_id"] != "")]
    return chosen.drop_duplicates("image_id").set_index("image_id")[boxes.COLUMNS]


def _read_rows(tables: dict[str, PredictionRows], image_id: str) -> dict[str, np.ndarray]:
    rows = {name: table.read(image_id) for name, table in tables.items()}
    return {name: row for name, row in rows.items() if row is not None}
