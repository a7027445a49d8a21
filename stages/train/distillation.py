"""What a student trains on: photos with labels, those that the ensemble labels, and its softened probabilities."""

from pathlib import Path

import numpy as np

from stages.classifiers.image_source import ImageSource, image_size_hw
from stages.classifiers.settings import TeachSettings
from stages.core.archive import Archive
from stages.core.errors import TableError
from stages.schemas import predictions, split_data
from stages.schemas.predictions import Predictions
from stages.schemas.split_data import SplitData
from stages.scoring.temperature_scaling import apply_temperature
from stages.train.fit import Splits


def read_splits(table: Path, archive: Path, targets: Path, classes: list[str], teach: TeachSettings) -> Splits:
    """Read the photos of `targets`, with soft targets, as train, and val. Raises TableError."""
    splits, unlabelled = split_data.read(table, classes), split_data.read_unlabelled(table)
    predicted = predictions.read(targets, classes)
    try:
        photos = taught_photos(splits["train"], unlabelled, predicted)
    except ValueError as error:
        raise TableError(f"{targets}: {error}; run `dvc repro teach`") from None
    images = Archive(archive)
    size_hw = image_size_hw(images, photos)
    train, val = (ImageSource.of(images, split, size_hw) for split in (photos, splits["val"]))
    softened = apply_temperature(predicted.probabilities, teach.temperature)
    return Splits(train._replace(soft_targets=softened.astype(np.float32)), val)


def taught_photos(train: SplitData, unlabelled: SplitData, predicted: Predictions) -> SplitData:
    """Return the photos of `predicted` in its order; the label of an unlabelled one is the likeliest class.

    Raises ValueError unless these are all photos of `train`, one or more, and any of `unlabelled`.
    """
    pool = split_data.join([train, unlabelled])
    rows = {image_id: row for row, image_id in reversed(list(enumerate(pool.image_ids)))}
    unknown = [image_id for image_id in predicted.image_ids if image_id not in rows]
    missing = sorted(set(train.image_ids) - set(predicted.image_ids))
    if unknown or missing or not train.image_ids:
        different = next(iter([*unknown, *missing]), "no photo at all")
        raise ValueError(f"expected the photos of train and unlabelled ones, found a difference: {different}")
    photos = pool.select(np.array([rows[image_id] for image_id in predicted.image_ids], dtype=int))
    likeliest = predicted.probabilities.argmax(axis=1)
    return photos._replace(labels=np.where(photos.labels < 0, likeliest, photos.labels))
