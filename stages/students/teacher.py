"""The trained ensemble as a teacher: its predictions of photos outside train, and new ones of train."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from stages.classifiers import dataset, inference
from stages.classifiers.dataset import ImageSource
from stages.classifiers.engine import keras
from stages.core import json_file, progress
from stages.core.archive import Archive
from stages.core.tables import TableError
from stages.schemas import predictions
from stages.schemas.predictions import Predictions
from stages.schemas.split_data import SplitData
from stages.scoring.probabilities import normalised
from stages.scoring.weighted_ensemble import WeightedEnsemble
from stages.students.teaching import TeacherPredictions


class Teacher:
    """The ensemble of a file such as models/ensemble.json; `names` are its models that have a weight."""

    def __init__(self, path: Path) -> None:
        record = json_file.read(path, ("weights", "temperature"))
        weights = {name: weight for name, weight in record["weights"].items() if weight > 0}
        self.names = list(weights)
        self._ensemble = WeightedEnsemble(np.array(list(weights.values())), float(record["temperature"]))

    def read(self, folder: Path, classes: list[str]) -> TeacherPredictions:
        """Read the models' predictions in a folder. Raises TableError unless all are of the same photos."""
        return self._combine({name: predictions.read(folder / f"{name}.csv", classes) for name in self.names}, folder)

    def predict(
        self, photos: SplitData, networks: Iterable[tuple[keras.Model, Archive]], size: int
    ) -> TeacherPredictions:
        """Predict photos by networks, in the order of `names`, each from an archive, in batches of `size`."""
        rows = [
            predict_mirrored(network, ImageSource.of(images, photos, network.input_shape[1:3]), size, name)
            for name, (network, images) in zip(self.names, networks, strict=True)
        ]
        by_model = np.stack(rows)
        return TeacherPredictions(photos.image_ids, by_model, self._ensemble(by_model))

    def _combine(self, tables: dict[str, Predictions], folder: Path) -> TeacherPredictions:
        first = next(iter(tables.values()))
        for name, table in tables.items():
            if table.image_ids != first.image_ids:
                raise TableError(f"{folder / name}.csv: expected the photos of {self.names[0]}.csv; run `dvc repro`")
        by_model = np.stack([table.probabilities for table in tables.values()])
        return TeacherPredictions(first.image_ids, by_model, self._ensemble(by_model))


def predict_mirrored(model: keras.Model, source: ImageSource, batch_size: int, title: str) -> np.ndarray:
    """Return the mean probabilities (N, C) of each image and of its mirror image.

    Students are shown both, and the mean is a little less sure than either of what the network learned by heart.
    """
    batches = progress.track(
        dataset.in_order(source, batch_size), -(-len(source.names) // batch_size), "batch", f"{title} on train"
    )
    pairs = (view for batch in batches for view in (batch, np.ascontiguousarray(batch[:, :, ::-1])))
    rows = [inference.apply(model, [view], batch_size) for view in pairs]
    mean = (np.concatenate(rows[::2]).astype(np.float64) + np.concatenate(rows[1::2])) / 2
    return normalised(mean[: len(source.names)])
