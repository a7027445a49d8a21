"""Bare limits of training and evaluation: the same loops as the stages', fed with batches that are ready."""

from pathlib import Path
from typing import Any

from benchmarks.suite import keras_data
from benchmarks.suite.keras_data import PARAMS
from benchmarks.suite.report import Report
from stages.classifiers import onnx_classifier
from stages.classifiers.engine import tf
from stages.classifiers.image_source import ImageSource
from stages.core import settings
from stages.core.archive import Archive
from stages.evaluate import evaluation, tta, tta_views
from stages.evaluate.settings import TtaSettings
from stages.train import training_data


def step(report: Report) -> None:
    """The training loop on one batch, again and again."""
    make_batches = training_data.training_batches

    def one_batch(*arguments: Any) -> tf.data.Dataset:
        batch = next(iter(make_batches(*arguments)))
        return tf.data.Dataset.from_tensors(batch).repeat()

    vars(training_data)["training_batches"] = one_batch
    keras_data.train(report)


def evaluate(report: Report) -> None:
    """All views of the photos of val and test, which are decoded."""
    views = tta_views.VIEWS[: tta.max_views(settings.read(PARAMS, "tta", TtaSettings))]
    path = Path("models") / keras_data.first_model()[0] / "model.onnx"
    model = onnx_classifier.load_trained(path, len(keras_data.class_names()))
    archive, splits = Archive(keras_data.input_folder()), keras_data.splits()
    sources = [ImageSource.of(archive, splits[split], model.size_hw) for split in evaluation.SCORED_SPLITS]
    photos = [source.load(name) for source in sources for name in source.names]
    inputs = [tta_views.apply_transform(photo, view) for photo in photos for view in views]
    keras_data.timed(report, len(photos), lambda: model.classify(inputs))
