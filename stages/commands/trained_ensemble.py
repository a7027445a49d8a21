"""The trained ensemble, from the project or from a bundle: its files, and what classifies photos with them."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx

from stages.commands import bundle_manifest
from stages.commands.inference_pipeline import PreprocessingSettings, Preprocessor
from stages.core import batches
from stages.core.errors import UserError
from stages.core.runtime_settings import RuntimeSettings
from stages.core.settings import read as read_settings
from stages.ensemble import weighting
from stages.evaluate import tta, tta_views
from stages.evaluate.settings import TtaSettings
from stages.images import images
from stages.networks import runtime
from stages.networks.settings import InferenceSettings
from stages.schemas import class_list
from stages.scoring.probabilities import normalised

# Photos that a model of this project takes at once. Fewer are filled up with black: one photo in a batch of the stages
# would cost as much as 32.
_KERAS_BATCH = 8

# Images (N, H, W, 3) uint8 RGB to probabilities (N, C).
ClassifyFn = Callable[[np.ndarray], np.ndarray]


def combine_models(
    models: dict[str, ClassifyFn], weights: dict[str, float], temperature: float, rule: TtaSettings
) -> ClassifyFn:
    """The weighted average of `models`, each with the test-time augmentation of `rule`."""
    mix = weighting.WeightedEnsemble(np.array([weights[name] for name in models]), temperature)

    def predict_model(model: ClassifyFn, inputs: np.ndarray) -> np.ndarray:
        def predict_view(number: int, chosen: np.ndarray) -> np.ndarray:
            return model(tta_views.apply_transform(inputs[chosen], tta_views.VIEWS[number]))

        return tta.predict_tta(predict_view, len(inputs), rule).probabilities

    return lambda inputs: mix(np.stack([predict_model(model, inputs) for model in models.values()]))


def load_keras(paths: list[Path], n_classes: int, threads: int) -> list[ClassifyFn]:
    """Trained models in Keras, which work in so many threads: their number may move last digits."""
    from stages.classifiers import inference  # TensorFlow: seconds to import, and not needed for a bundle
    from stages.classifiers.runtime import pin_threads

    pin_threads(threads)
    return [partial(inference.predict, inference.load(path, n_classes), batch_size=_KERAS_BATCH) for path in paths]


def load_onnx(paths: list[Path], n_classes: int, threads: int) -> list[ClassifyFn]:  # noqa: ARG001
    """Models of a bundle, in the engine that suits the machine; their outputs do not depend on threads."""
    return [_load_onnx(path) for path in paths]


def _load_onnx(path: Path) -> ClassifyFn:
    (output,) = onnx.load(path, load_external_data=False).graph.output
    network = runtime.load(path, [output.name], InferenceSettings(batch_size=1, engine="auto", precision="f32"))
    return lambda inputs: normalised(np.stack(network(inputs)[0]))


class PhotoResult(NamedTuple):
    """The probabilities `(C,)` float64 of a photo, None where it cannot be read.

    `note` says why there is no crop, mask or prediction; it begins with a reason and a colon where there is none.
    """

    probabilities: np.ndarray | None
    note: str


class Ensemble(NamedTuple):
    """All that classifies photos: preprocessing, models, class names and the shares (C,) of the classes in train."""

    preprocessor: Preprocessor
    classify: ClassifyFn
    classes: list[str]
    prior: np.ndarray

    def predict(self, photos: Sequence[Any], read: Callable[[Any], bytes] = images.load) -> Iterator[PhotoResult]:
        """Yield the result of every photo, in order; for `read` see `Preprocessor.run`."""
        inputs = self.preprocessor.run(photos, read)
        for batch in batches.batched(inputs, self.preprocessor.settings.detect.inference.batch_size):
            readable = [image for _, (image, _) in batch if image is not None]
            predicted = iter(self.classify(np.stack(readable)) if readable else ())
            for _, (image, note) in batch:
                yield PhotoResult(None if image is None else next(predicted), note)


class EnsembleFiles(NamedTuple):
    """Where the files of a trained ensemble are below `folder`, and what loads its models; `{}` is a model's name."""

    folder: Path
    classes: str
    weights: str
    networks: str
    model: str
    load_models: Callable[[list[Path], int, int], list[ClassifyFn]]

    @property
    def settings(self) -> Path:
        """The settings file."""
        return self.folder / "params.yaml"

    def read_classes(self) -> list[str]:
        """The class names, in the order of the probabilities."""
        return class_list.read_classes(self.folder / self.classes)

    def read_weights(self) -> weighting.SavedEnsemble:
        """The models' weights, the temperature and the prior (C,)."""
        return weighting.read(self.folder / self.weights, self.read_classes())

    def models(self) -> dict[str, str]:
        """The files of the models that have a weight, by name."""
        return {name: self.model.format(name) for name, weight in self.read_weights().weights.items() if weight > 0}

    def names(self) -> tuple[str, ...]:
        """All files that `load` reads."""
        networks = PreprocessingSettings.read(self.settings).network_files()
        fixed = (self.settings.name, self.classes, self.weights)
        return (*fixed, *self.models().values(), *(f"{self.networks}/{name}" for name in networks))

    def require(self, names: tuple[str, ...]) -> None:
        """Raise UserError for the first of these files that does not exist."""
        for name in names:
            if not (self.folder / name).is_file():
                raise UserError(f"{self.folder / name}: expected a file of the ensemble, found none; run `dvc repro`")

    def load(self) -> Ensemble:
        """Load preprocessing and models."""
        classes, (weights, temperature, prior) = self.read_classes(), self.read_weights()
        models = self.models()
        threads = read_settings(self.settings, "runtime", RuntimeSettings).n_threads
        loaded = self.load_models([self.folder / file for file in models.values()], len(classes), threads)
        rule = read_settings(self.settings, "tta", TtaSettings)
        classify = combine_models(dict(zip(models, loaded)), weights, temperature, rule)
        preprocessor = Preprocessor(PreprocessingSettings.read(self.settings), self.folder / self.networks)
        return Ensemble(preprocessor, classify, classes, prior)


def of_project(folder: Path = Path()) -> EnsembleFiles:
    """The ensemble of the last `dvc repro` in a folder."""
    model = "models/{}/model.keras"
    return EnsembleFiles(folder, "data/classes.txt", "models/ensemble.json", "models/pretrained", model, load_keras)


def of_bundle(folder: Path) -> EnsembleFiles:
    """The ensemble of a bundle. Raises BundleError if a file has changed since the bundle was written."""
    bundle_manifest.verify(folder)
    return EnsembleFiles(folder, "classes.txt", "ensemble.json", "networks", "models/{}.onnx", load_onnx)
