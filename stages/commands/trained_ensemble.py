"""The trained ensemble, from the project or from a bundle: its files, and what classifies photos with them."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx

from stages.commands import bundle_manifest
from stages.commands.inference_pipeline import ModelInputs, PreprocessingSettings, Preprocessor
from stages.core import batches
from stages.core.errors import UserError
from stages.core.settings import read as read_settings
from stages.ensemble import weighting
from stages.evaluate import tta, tta_views
from stages.evaluate.settings import TtaSettings
from stages.images import images
from stages.images.settings import input_names
from stages.networks import runtime
from stages.networks.settings import InferenceSettings
from stages.schemas import class_list
from stages.scoring.probabilities import normalised

# Images (N, H, W, 3) uint8 RGB to probabilities (N, C).
ClassifyFn = Callable[[np.ndarray], np.ndarray]


# What each input of the models shows of N photos, by the input's name, to probabilities (N, C).
PredictFn = Callable[[dict[str, np.ndarray]], np.ndarray]


class LoadedModel(NamedTuple):
    """A trained network, and the name of the input that it sees."""

    classify: ClassifyFn
    input: str


def combine_models(
    models: dict[str, LoadedModel], weights: dict[str, float], temperature: float, rule: TtaSettings
) -> PredictFn:
    """The weighted average of `models`, each with the test-time augmentation of `rule`."""
    mix = weighting.WeightedEnsemble(np.array([weights[name] for name in models]), temperature)

    def predict_model(model: LoadedModel, inputs: np.ndarray) -> np.ndarray:
        def predict_view(number: int, chosen: np.ndarray) -> np.ndarray:
            return model.classify(tta_views.apply_transform(inputs[chosen], tta_views.VIEWS[number]))

        return tta.predict_tta(predict_view, len(inputs), rule).probabilities

    return lambda inputs: mix(np.stack([predict_model(model, inputs[model.input]) for model in models.values()]))


def load_model(path: Path) -> ClassifyFn:
    """A trained model from its ONNX file, in the engine that suits the machine; threads do not change its outputs."""
    (output,) = onnx.load(path, load_external_data=False).graph.output
    network = runtime.load(path, [output.name], InferenceSettings(batch_size=1, engine="auto", precision="f32"))
    return lambda inputs: normalised(np.stack(network(inputs)[0]))


# The note of a prediction below the threshold of `ensemble.abstain`.
UNSURE = "unsure"


class PhotoResult(NamedTuple):
    """The probabilities `(C,)` float64 of a photo, None where it cannot be read.

    `note` says why there is no crop, mask or prediction; it begins with a reason and a colon where there is none.
    """

    probabilities: np.ndarray | None
    note: str


class Ensemble(NamedTuple):
    """All that classifies photos: preprocessing, models, class names, the shares (C,) of the classes in train, and the
    probability below which a prediction is unsure.
    """

    preprocessor: Preprocessor
    classify: PredictFn
    classes: list[str]
    prior: np.ndarray
    threshold: float = 0.0

    def predict(self, photos: Sequence[Any], read: Callable[[Any], bytes] = images.load) -> Iterator[PhotoResult]:
        """Yield the result of every photo, in order; for `read` see `Preprocessor.run`."""
        return (result for result, _ in self.predict_with_inputs(photos, read))

    def predict_with_inputs(
        self, photos: Sequence[Any], read: Callable[[Any], bytes] = images.load
    ) -> Iterator[tuple[PhotoResult, ModelInputs]]:
        """Yield the result of every photo and what the models saw of it, as `predict` does."""
        inputs = self.preprocessor.run(photos, read)
        for batch in batches.batched(inputs, self.preprocessor.settings.detect.inference.batch_size):
            readable = [made.images for _, made in batch if made.images is not None]
            names = self.preprocessor.settings.inputs
            stacked = {name: np.stack([shown[name] for shown in readable]) for name in names if readable}
            predicted = iter(self.classify(stacked) if readable else ())
            for _, made in batch:
                yield self._result(None if made.images is None else next(predicted), made.note), made

    def _result(self, probabilities: np.ndarray | None, note: str) -> PhotoResult:
        """The result of a photo; the note of a prediction below the threshold says so."""
        if probabilities is not None and probabilities.max() < self.threshold:
            note = f"{note}, {UNSURE}" if note else UNSURE
        return PhotoResult(probabilities, note)


class EnsembleFiles(NamedTuple):
    """Where the files of a trained ensemble are below `folder`; in `model`, `{}` is a model's name."""

    folder: Path
    classes: str
    weights: str
    networks: str
    model: str

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

    def preprocessing(self) -> PreprocessingSettings:
        """The settings of what the models that have a weight see."""
        return PreprocessingSettings.read(self.settings, self.models())

    def names(self) -> tuple[str, ...]:
        """All files that `load` reads."""
        networks = self.preprocessing().network_files()
        fixed = (self.settings.name, self.classes, self.weights)
        return (*fixed, *self.models().values(), *(f"{self.networks}/{name}" for name in networks))

    def require(self, names: tuple[str, ...]) -> None:
        """Raise UserError for the first of these files that does not exist."""
        for name in names:
            if not (self.folder / name).is_file():
                raise UserError(f"{self.folder / name}: expected a file of the ensemble, found none; run `dvc repro`")

    def load(self) -> Ensemble:
        """Load preprocessing and models."""
        classes, saved = self.read_classes(), self.read_weights()
        models = self.models()
        self.require(tuple(models.values()))
        rule = read_settings(self.settings, "tta", TtaSettings)
        inputs = input_names(self.settings)
        named = {name: LoadedModel(load_model(self.folder / file), inputs[name]) for name, file in models.items()}
        classify = combine_models(named, saved.weights, saved.temperature, rule)
        preprocessor = Preprocessor(self.preprocessing(), self.folder / self.networks)
        return Ensemble(preprocessor, classify, classes, saved.prior, saved.threshold)


def of_project(folder: Path = Path()) -> EnsembleFiles:
    """The ensemble of the last `dvc repro` in a folder."""
    return EnsembleFiles(
        folder, "data/classes.txt", "models/ensemble.json", "models/pretrained", "models/{}/model.onnx"
    )


def of_bundle(folder: Path) -> EnsembleFiles:
    """The ensemble of a bundle. Raises BundleError if a file has changed since the bundle was written."""
    bundle_manifest.verify(folder)
    return EnsembleFiles(folder, "classes.txt", "ensemble.json", "networks", "models/{}.onnx")
