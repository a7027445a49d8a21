"""The trained ensemble, from the project or from a bundle: its files, and what classifies photos with them."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from stages.classifiers import onnx_classifier
from stages.classifiers.onnx_classifier import ClassifyFn
from stages.commands import bundle_manifest
from stages.commands.inference_pipeline import ModelInputs, PreprocessingSettings, Preprocessor
from stages.core import batches
from stages.core.errors import UserError
from stages.core.settings import read as read_settings
from stages.ensemble import weighting
from stages.evaluate import tta
from stages.evaluate.settings import TtaSettings
from stages.images import images
from stages.images.settings import input_names
from stages.novelty import detector
from stages.novelty.detector import NoveltyDetector
from stages.schemas import class_list
from stages.scoring.weighted_ensemble import WeightedEnsemble

if TYPE_CHECKING:
    from stages.classifiers.onnx_outputs import OutputsFn

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
    mix = WeightedEnsemble(np.array([weights[name] for name in models]), temperature)

    def predict_model(model: LoadedModel, inputs: np.ndarray) -> np.ndarray:
        return tta.predict_tta(tta.of_images(model.classify, inputs), len(inputs), rule).probabilities

    return lambda inputs: mix(np.stack([predict_model(model, inputs[model.input]) for model in models.values()]))


# What each input of the models shows of N photos, by the input's name, to whether each is of no class (N,) bool.
UnknownFn = Callable[[dict[str, np.ndarray]], np.ndarray]


class LoadedNetwork(NamedTuple):
    """A trained network with its inner outputs, and the name of the input that it sees."""

    outputs: "OutputsFn"
    input: str

    @property
    def model(self) -> LoadedModel:
        """The network as a model of the ensemble."""
        return LoadedModel(lambda photos: self.outputs(photos).probabilities, self.input)


def unknown_by(fitted: NoveltyDetector, networks: dict[str, LoadedNetwork]) -> UnknownFn:
    """Whether photos, as they are, are beyond the threshold of `fitted`."""
    members = {name: networks[name] for name in fitted.members}

    def is_unknown(inputs: dict[str, np.ndarray]) -> np.ndarray:
        outputs = {name: network.outputs(inputs[network.input]).inner for name, network in members.items()}
        return np.asarray(fitted(outputs) > fitted.threshold)

    return is_unknown


# The note of a photo whose novelty is above the threshold of `novelty.max_false_alarms`.
UNKNOWN = "unknown"
# The note of a prediction below the threshold of `ensemble.abstain`.
UNSURE = "unsure"


class PhotoResult(NamedTuple):
    """The probabilities `(C,)` float64 of a photo, None where it cannot be read.

    `note` says why there is no crop, mask or prediction; it begins with a reason and a colon where there is none.
    """

    probabilities: np.ndarray | None
    note: str


class Ensemble(NamedTuple):
    """All that classifies photos: preprocessing, models, class names, the shares (C,) of the classes in train, the
    probability below which a prediction is unsure, and what tells photos of no class, if that is asked for.
    """

    preprocessor: Preprocessor
    classify: PredictFn
    classes: list[str]
    prior: np.ndarray
    threshold: float = 0.0
    is_unknown: UnknownFn | None = None

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
            unknown = iter(self.is_unknown(stacked) if readable and self.is_unknown else np.zeros(len(readable), bool))
            for _, made in batch:
                if made.images is None:
                    yield PhotoResult(None, made.note), made
                else:
                    yield self._result(next(predicted), made.note, bool(next(unknown))), made

    def _result(self, probabilities: np.ndarray, note: str, is_unknown: bool) -> PhotoResult:
        """The result of a photo; its note also says whether it is unknown, and the prediction unsure."""
        is_unsure = bool(probabilities.max() < self.threshold)
        marks = {UNKNOWN: is_unknown, UNSURE: is_unsure}
        notes = [note] * bool(note) + [name for name, is_marked in marks.items() if is_marked]
        return PhotoResult(probabilities, ", ".join(notes))


class EnsembleFiles(NamedTuple):
    """Where the files of a trained ensemble are below `folder`; in `model`, `{}` is a model's name."""

    folder: Path
    classes: str
    weights: str
    networks: str
    model: str
    novelty: str

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
        # A bundle has a detector only where photos are marked.
        optional = [name for name in (self.novelty,) if (self.folder / name).is_file()]
        fixed = (self.settings.name, self.classes, self.weights, *optional)
        return (*fixed, *self.models().values(), *(f"{self.networks}/{name}" for name in networks))

    def require(self, names: tuple[str, ...]) -> None:
        """Raise UserError for the first of these files that does not exist."""
        for name in names:
            if not (self.folder / name).is_file():
                raise UserError(f"{self.folder / name}: expected a file of the ensemble, found none; run `dvc repro`")

    def read_detector(self) -> NoveltyDetector | None:
        """What tells photos of no class; None if nothing is to be marked.

        Raises UserError if the file is damaged, or of other models than those that have a weight.
        """
        path, models = self.folder / self.novelty, self.models()
        fitted = detector.read(path) if path.is_file() else None
        if fitted is not None and set(fitted.members) != set(models):
            raise UserError(
                f"{path}: expected the models {', '.join(models)}, found {', '.join(fitted.members)}; "
                "run `dvc repro novelty`"
            )
        return fitted

    def load(self) -> Ensemble:
        """Load preprocessing and models."""
        classes, saved = self.read_classes(), self.read_weights()
        models, preprocessing = self.models(), self.preprocessing()
        self.require(tuple(models.values()))
        rule = read_settings(self.settings, "tta", TtaSettings)
        inputs, fitted = input_names(self.settings), self.read_detector()
        paths, is_unknown = {name: self.folder / file for name, file in models.items()}, None
        preprocessor = Preprocessor(preprocessing, self.folder / self.networks)
        if fitted is None:
            sizes = {name: (item.height, item.width) for name, item in preprocessing.inputs.items()}
            named = {
                name: LoadedModel(onnx_classifier.load(path, sizes[inputs[name]]), inputs[name])
                for name, path in paths.items()
            }
        else:
            from stages.classifiers import onnx_outputs  # it imports onnx, which takes a tenth of a second

            networks = {name: LoadedNetwork(onnx_outputs.load(path), inputs[name]) for name, path in paths.items()}
            named = {name: network.model for name, network in networks.items()}
            is_unknown = unknown_by(fitted, networks)
        classify = combine_models(named, saved.weights, saved.temperature, rule)
        return Ensemble(preprocessor, classify, classes, saved.prior, saved.threshold, is_unknown)


def of_project(folder: Path = Path()) -> EnsembleFiles:
    """The ensemble of the last `dvc repro` in a folder."""
    return EnsembleFiles(
        folder,
        "data/classes.txt",
        "models/ensemble.json",
        "models/pretrained",
        "models/{}/model.onnx",
        "models/novelty.npz",
    )


def of_bundle(folder: Path) -> EnsembleFiles:
    """The ensemble of a bundle. Raises BundleError if a file was changed or added since the bundle was written."""
    listed = bundle_manifest.verify(folder)
    files = EnsembleFiles(folder, "classes.txt", "ensemble.json", "networks", "models/{}.onnx", "novelty.npz")
    bundle_manifest.require_listed(folder, files.names(), listed)
    return files
