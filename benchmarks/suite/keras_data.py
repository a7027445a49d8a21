"""The data and the models of the parts that train and evaluate."""

import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from benchmarks.suite.report import Report
from stages.classifiers import pretrained, runtime
from stages.classifiers.image_source import ImageSource
from stages.classifiers.settings import ModelSettings
from stages.core import settings
from stages.core.runtime_settings import RuntimeSettings
from stages.schemas import class_list, split_data
from stages.schemas.split_data import SplitData
from stages.train import bagging, fit, trainer
from stages.train.settings import TrainSettings

PARAMS, SPLITS = Path("params.yaml"), Path("data/splits.csv")
# An epoch of fewer steps would mostly show the batches that were ready when it began.
_MIN_STEPS = 8


def first_model() -> tuple[str, ModelSettings]:
    """Name and settings of the first model of params.yaml."""
    name = next(iter(yaml.safe_load(PARAMS.read_text(encoding="utf-8"))["models"]))
    return name, settings.read(PARAMS, f"models.{name}", ModelSettings)


def input_folder() -> Path:
    """The archive of what the first model sees."""
    return Path("data/model_inputs") / first_model()[1].input


def class_names() -> list[str]:
    """The classes, in order."""
    return class_list.read_classes(Path("data/classes.txt"))


def splits() -> dict[str, SplitData]:
    """The photos of each split."""
    return split_data.read(SPLITS, class_names())


def recipe() -> TrainSettings:
    """The settings of training, as one phase that outlasts every measurement."""
    read = settings.read(PARAMS, "train", TrainSettings)
    return read.replace(unfreeze="all", epochs=1000, patience=None, checkpoint_minutes=1e6)


def train_source(rule: TrainSettings) -> ImageSource:
    """The photos of train, repeated until they make an epoch of at least `_MIN_STEPS` batches."""
    source = bagging.read_members(SPLITS, input_folder(), class_names(), rule.replace(folds=None))[0].train
    times = -(-_MIN_STEPS * rule.batch_size // len(source.names))
    return source._replace(names=source.names * times, labels=source.labels.repeat(times).reshape(-1, times).T.ravel())


def train(report: Report) -> None:
    """Train the first model and report the seconds of the steps of each epoch but the first two, which compile."""
    rule, (_, model) = recipe(), first_model()
    system = runtime.configure(rule.seed, settings.read(PARAMS, "runtime", RuntimeSettings).n_threads, rule.precision)
    source = train_source(rule)
    empty = source._replace(names=[], labels=source.labels[:0])
    tensors = pretrained.read(Path("models/pretrained"), model)
    setup = trainer.TrainingSetup(model, tensors, len(class_names()), system.precision, "")
    member = trainer.Member(fit.Splits(source, empty), rule, Path(), Path())
    n_items = round(len(source.names) / rule.batch_size) * rule.batch_size

    def log(number: int, _: object, rates: dict[str, float]) -> None:
        if number >= 1:
            report(n_items / rates["photos_per_second"], n_items)

    curves: Any = SimpleNamespace(log=log, log_histograms=lambda *_: None)
    trainer.train(member, setup, curves)


def timed(report: Report, items: int, work: Any) -> None:
    """Report the seconds of `work` for as long as rounds are wanted."""
    while True:
        started = time.perf_counter()
        work()
        report(time.perf_counter() - started, items)
