"""A linear classifier on the features of an untrained network: the baseline that the trained model must beat.

Kornblith et al. 2019, arXiv:1805.08974, compare both: a recipe that loses to the linear classifier is likely faulty.
"""

from typing import Any

import numpy as np
import pandas as pd

from stages.classifiers import dataset, inference
from stages.classifiers.engine import keras
from stages.classifiers.image_source import ImageSource
from stages.classifiers.settings import LoaderSettings
from stages.core import progress
from stages.core.archive import Archive
from stages.probe import linear_probe, outliers
from stages.probe.linear_probe import Features, LinearProbe
from stages.schemas.manifest import SPLITS
from stages.schemas.predictions import Predictions
from stages.schemas.split_data import SplitData
from stages.scoring import scores


def extract_features(pooled: keras.Model, split: SplitData, images: Archive, loader: LoaderSettings) -> Features:
    """Return the features of the photos of a split by the network `pooled`, without augmentation."""
    source = ImageSource.of(images, split, pooled.input_shape[1:3])
    batches = dataset.in_order(source, loader.batch_size)
    n_batches = -(-len(source.names) // loader.batch_size)
    values = inference.apply(pooled, progress.track(batches, n_batches, "batch", "probe"), len(source.names))
    return Features(values, split.labels, split.groups)


def predict_splits(probe: LinearProbe, features: dict[str, Features]) -> dict[str, np.ndarray]:
    """The probabilities (N, C) by split; those of train are out of fold."""
    others = {name: linear_probe.head_probabilities(probe.head, features[name].values) for name in ("val", "test")}
    return {"train": probe.out_of_fold, **others}


def score_splits(probe: LinearProbe, predicted: dict[str, np.ndarray], features: dict[str, Features]) -> dict[str, Any]:
    """The chosen penalty and the scores by split; train is out of fold."""
    return {"l2": probe.l2} | {
        name: scores.summary(features[name].labels, predicted[name], features[name].groups) for name in SPLITS
    }


def to_table(predicted: dict[str, np.ndarray], splits: dict[str, SplitData], classes: list[str]) -> Predictions:
    """Return all photos as one probability table, sorted by id."""
    ids = [image_id for name in SPLITS for image_id in splits[name].image_ids]
    order = np.argsort(np.array(ids, dtype=object), kind="stable")
    rows = np.concatenate([predicted[name] for name in SPLITS])
    return Predictions([ids[place] for place in order], rows[order], classes)


def outlier_scores(features: dict[str, Features], splits: dict[str, SplitData], n_neighbours: int) -> pd.DataFrame:
    """A row per photo: `image_id`, its `distance` from the photos of train, and the `outlier_threshold`."""
    others = np.concatenate([features["val"].values, features["test"].values])
    within, between = outliers.distances(features["train"].values, others, n_neighbours)
    ids = [image_id for name in SPLITS for image_id in splits[name].image_ids]
    frame = pd.DataFrame({"image_id": ids, "distance": np.concatenate([within, between])})
    return frame.assign(outlier_threshold=outliers.outlier_threshold(within)).round(6).sort_values("image_id")
