"""What a user would write in Keras without the pipeline: its own loader of folders, `fit` and `predict`."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.suite import keras_data
from benchmarks.suite.report import Report
from stages.classifiers import backbones, pretrained
from stages.classifiers.engine import keras, tf
from stages.core.archive import Archive
from stages.schemas import model_inputs
from stages.train.settings import TrainSettings


def _write_folder(folder: Path, names: list[str], labels: np.ndarray) -> Path:
    """Write inputs of the first model as files, one folder for each class; a name that occurs again is a link."""
    archive, classes = Archive(keras_data.input_folder()), keras_data.class_names()
    for label in classes:
        (folder / label).mkdir(parents=True, exist_ok=True)
    for number, (name, label) in enumerate(zip(names, labels)):
        path, first = folder / classes[label] / f"{number}_{name}", folder / name
        if not first.is_file():
            first.write_bytes(archive.read(name))
        os.link(first, path)
    return folder


def _load(folder: Path, size_hw: tuple[int, int], batch_size: int) -> Any:
    return keras.utils.image_dataset_from_directory(
        str(folder),
        image_size=size_hw,
        batch_size=batch_size,
        label_mode="categorical",
        class_names=keras_data.class_names(),
    )


def _fit(report: Report, augment: Callable[[np.ndarray], np.ndarray] | None) -> None:
    """The same network as the pipeline's first model, the same layers trained by AdamW in `fit`."""
    rule: TrainSettings = keras_data.recipe()
    _, model_settings = keras_data.first_model()
    source, n_classes = keras_data.train_source(rule), len(keras_data.class_names())
    folder = _write_folder(Path("plain_train"), source.names, source.labels)
    data = _load(folder, source.size_hw, rule.batch_size)
    if augment:
        data = data.map(_mapped(augment, source.size_hw), num_parallel_calls=tf.data.AUTOTUNE)
    shape = pretrained.shape(model_settings, source.size_hw, n_classes, rule.dropout, rule.seed)
    tensors = pretrained.read(Path("models/pretrained"), model_settings)
    network = pretrained.network(model_settings, shape, tensors)
    backbones.freeze(network.pooled, rule.frozen_share, rule.batch_norm)
    model = network.logits
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(rule.learning_rate), loss)
    data = data.prefetch(tf.data.AUTOTUNE)
    model.fit(data, verbose=0)
    keras_data.timed(report, len(source.names), lambda: model.fit(data, verbose=0))


def _mapped(augment: Callable[[np.ndarray], np.ndarray], size_hw: tuple[int, int]) -> Callable[..., Any]:
    def work(images: Any, targets: Any) -> tuple[Any, Any]:
        augmented = tf.numpy_function(augment, [images], tf.float32)
        return tf.ensure_shape(augmented, (None, *size_hw, 3)), targets

    return work


def epoch(report: Report) -> None:
    """An epoch without augmentation."""
    _fit(report, None)


def augmented_epoch(report: Report) -> None:
    """An epoch with mirroring, shift, zoom, rotation, colour changes and cutout by Albumentations."""
    import albumentations

    transform = albumentations.Compose(
        [
            albumentations.HorizontalFlip(p=0.5),
            albumentations.Affine(scale=(0.85, 1.15), translate_percent=(-0.08, 0.08), rotate=(-8, 8), p=0.8),
            albumentations.ColorJitter(brightness=0.25, contrast=0.25, saturation=0.4, hue=0, p=0.8),
            albumentations.CoarseDropout(p=0.5),
        ]
    )

    def augment(images: np.ndarray) -> np.ndarray:
        rows = [transform(image=image.astype(np.uint8))["image"] for image in images]
        return np.stack(rows).astype(np.float32)

    _fit(report, augment)


def evaluate(report: Report) -> None:
    """One view of the photos of val and test by `predict`."""
    name, _ = keras_data.first_model()
    model = keras.models.load_model(Path("models") / name / "model.keras")
    splits, batch_size = keras_data.splits(), keras_data.recipe().batch_size
    image_ids = [image_id for split in ("val", "test") for image_id in splits[split].image_ids]
    names = model_inputs.file_names(Archive(keras_data.input_folder()), image_ids)
    labels = np.concatenate([splits[split].labels for split in ("val", "test")])
    data = _load(_write_folder(Path("plain_test"), names, labels), model.input_shape[1:3], batch_size)
    keras_data.timed(report, len(names), lambda: model.predict(data, verbose=0))
