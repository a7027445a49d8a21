"""The trained ensemble as a teacher: its predictions of photos outside train, and new ones of train."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from stages.classifiers.image_source import ImageSource
from stages.classifiers.onnx_classifier import ClassifyFn, TrainedClassifier
from stages.core import batches, json_file, progress
from stages.core.archive import Archive
from stages.core.errors import TableError
from stages.schemas import predictions
from stages.schemas.predictions import Predictions
from stages.schemas.split_data import SplitData
from stages.scoring.weighted_ensemble import WeightedEnsemble
from stages.students.teaching import TeacherPredictions

# Images that are decoded ahead of the network.
_AHEAD = 32


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

    def predict(self, photos: SplitData, models: Iterable[tuple[TrainedClassifier, Archive]]) -> TeacherPredictions:
        """Predict photos by models, in the order of `names`, each from an archive."""
        rows = [
            predict_mirrored(model.classify, ImageSource.of(images, photos, model.size_hw), f"{name} on train")
            for name, (model, images) in zip(self.names, models, strict=True)
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


def predict_mirrored(classify: ClassifyFn, source: ImageSource, title: str) -> np.ndarray:
    """Return the mean probabilities (N, C) of each image and of its mirror image; `title` stands at the progress bar.

    Students are shown both, and the mean is a little less sure than either of what the network learned by heart.
    """
    loaded = batches.ordered_thread_map(source.load, source.names, _AHEAD)
    tracked = progress.track(loaded, len(source.names), "photo", title)
    rows = classify(view for _, image in tracked for view in (image, image[:, ::-1]))
    return (rows[::2] + rows[1::2]) / 2
