"""Networks that know all classes but some: their outputs for every photo, made once and kept."""

import hashlib
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stages.classifiers import folding, linear_head, onnx_outputs, pretrained
from stages.classifiers.image_source import image_size_hw
from stages.classifiers.settings import LoaderSettings, ModelSettings
from stages.core import arrays, atomic, command, programs, settings, tables
from stages.core.archive import Archive
from stages.core.errors import UserError
from stages.novelty.extraction import extract
from stages.probe.probing import extract_features
from stages.schemas import class_list, split_data, split_table
from stages.schemas.manifest import SPLITS
from stages.schemas.split_data import SplitData
from stages.scoring.network_outputs import NetworkOutputs
from stages.train.settings import TrainSettings

_SPLITS, _CLASSES, _PRETRAINED = Path("data/splits.csv"), Path("data/classes.txt"), Path("models/pretrained")
INPUTS = Path("data/model_inputs")


class LabelledPhotos(NamedTuple):
    """All photos with labels, split by split: `split` (N,) holds the names of theirs."""

    photos: SplitData
    split: np.ndarray
    classes: list[str]

    @classmethod
    def read(cls) -> "LabelledPhotos":
        """Read those of the project. Raises UserError where train, to fit on, or val, to choose on, is empty."""
        classes = class_list.read_classes(_CLASSES)
        splits = split_data.read(_SPLITS, classes)
        for name in ("train", "val"):
            if not splits[name].image_ids:
                raise UserError(
                    f"{_SPLITS}: expected photos of {name}, which novelty is measured with, found none; use splits "
                    f"with {name}"
                )
        names = np.repeat(SPLITS, [len(splits[name].labels) for name in SPLITS])
        return cls(split_data.join([splits[name] for name in SPLITS]), names, classes)

    def rows(self, split: str, labels: Sequence[int]) -> np.ndarray:
        """Which photos (N,) are of a split and of these classes."""
        return np.asarray((self.split == split) & np.isin(self.photos.labels, labels))


class Networks(NamedTuple):
    """Where networks are trained and their outputs kept, with which settings; `is_quick`: only heads are fitted."""

    work: Path
    params: Path
    is_quick: bool

    def outputs(self, model: str, data: LabelledPhotos, known: Sequence[int]) -> NetworkOutputs:
        """The outputs for all photos (N,) of a model that was fitted to the photos of train of the `known` classes."""
        if self.is_quick:
            return self._with_head(self._untrained_features(model, data), data, known)
        names = [data.classes[number] for number in known]
        folder = self._folder(model, names)
        if not (folder / "outputs.npz").is_file():
            self._train(model, names, folder)
            network = onnx_outputs.load(folder / "model" / "model.onnx")
            outputs = extract(network, data.photos, Archive(self._images(model)), model)
            arrays.write(folder / "outputs.npz", outputs._asdict())
            shutil.rmtree(folder / "model")
        with np.load(folder / "outputs.npz", allow_pickle=False) as file:
            return NetworkOutputs(file["features"], file["logits"])

    def _train(self, model: str, known: list[str], folder: Path) -> None:
        """Train as the stage does, on a table without the photos of other classes."""
        atomic.write_text(folder / "classes.txt", "".join(f"{name}\n" for name in known))
        table = split_table.read(_SPLITS)
        tables.write(folder / "splits.csv", table[table["label"].isin(known)])
        words: dict[str, str | Path] = {
            "model": model,
            "params": self.params,
            "splits": folder / "splits.csv",
            "photos": self._images(model),
            "classes": folder / "classes.txt",
            "pretrained": _PRETRAINED,
            "out": folder / "model",
            "curves": folder / "curves",
            "logs": folder / "logs",
        }
        options = [word for name, value in words.items() for word in (f"--{name}", value)]
        program = (sys.executable, "-m", "stages.train", *options)
        programs.run_logged(*program, folder=Path(), env=command.environment(), log=folder / "train.log")

    def _untrained_features(self, model: str, data: LabelledPhotos) -> np.ndarray:
        """The pooled features (N, D) of the network with its pretrained weights."""
        path = self._folder(model, []) / "features.npz"
        if not path.is_file():
            entry, loader = self._model(model), settings.read(self.params, "train", LoaderSettings, subset=True)
            images = Archive(self._images(model))
            shape = pretrained.shape(entry, image_size_hw(images, data.photos), len(data.classes))
            network = pretrained.network(entry, shape, pretrained.read(_PRETRAINED, entry))
            pooled = folding.for_inference(network.pooled)
            arrays.write(path, {"features": extract_features(pooled, data.photos, images, loader).values})
        with np.load(path, allow_pickle=False) as file:
            return np.asarray(file["features"])

    def _with_head(self, features: np.ndarray, data: LabelledPhotos, known: Sequence[int]) -> NetworkOutputs:
        train, rule = data.rows("train", known), settings.read(self.params, "train", TrainSettings)
        labels = np.searchsorted(known, data.photos.labels[train])
        kernel, bias = linear_head.fit_linear_head(features[train], labels, len(known), rule.head_l2)
        return NetworkOutputs(features, features @ kernel + bias)

    def _folder(self, model: str, known: list[str]) -> Path:
        """The folder of a network, named by a hash of all that its outputs depend on; it exists."""
        content: Mapping[str, Any] = settings.load(self.params)
        used = (content["models"][model], {} if self.is_quick else content["train"])
        facts = (model, known, used, Archive(self._images(model)).fingerprints, _SPLITS.read_bytes())
        folder = self.work / hashlib.sha256(repr(facts).encode()).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _model(self, name: str) -> ModelSettings:
        return settings.read(self.params, f"models.{name}", ModelSettings)

    def _images(self, model: str) -> Path:
        return INPUTS / self._model(model).input
