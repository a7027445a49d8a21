"""Bare limits with TensorFlow: the same loops as the stages', fed with batches that are ready."""

from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.suite import keras_data
from benchmarks.suite.keras_data import PARAMS
from benchmarks.suite.report import Report
from stages.classifiers import dataset, inference, runtime
from stages.classifiers.dataset import ImageSource
from stages.classifiers.engine import tf
from stages.classifiers.settings import LoaderSettings
from stages.core import settings
from stages.core.archive import Archive
from stages.core.runtime_settings import RuntimeSettings
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
    loader = settings.read(PARAMS, "train", LoaderSettings, subset=True)
    views = tta_views.VIEWS[: tta.max_views(settings.read(PARAMS, "tta", TtaSettings))]
    runtime.configure(loader.seed, settings.read(PARAMS, "runtime", RuntimeSettings).n_threads)
    name, _ = keras_data.first_model()
    model = inference.load(Path("models") / name / "model.keras", len(keras_data.class_names()))
    archive, splits = Archive(keras_data.input_folder()), keras_data.splits()
    ready: list[tuple[list[np.ndarray], int]] = []
    for split in evaluation.SCORED_SPLITS:
        source = ImageSource.of(archive, splits[split], model.input_shape[1:3])
        ready.append((list(dataset.in_order(source, loader.batch_size)), len(source.names)))
    n_photos = sum(count for _, count in ready)
    work = [(batches, count) for batches, count in ready if count]
    keras_data.timed(
        report, n_photos, lambda: [evaluation.apply_views(model, batches, n, views) for batches, n in work]
    )
