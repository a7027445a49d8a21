"""Fit a linear classifier to what an untrained network sees: the floor that every trained model must beat.

A recipe that loses to it is most likely broken (Kornblith et al. 2019, arXiv:1805.08974, compare the two throughout).
"""

from typing import Any

import numpy as np
import pandas as pd

from stages.classifiers import dataset, inference
from stages.classifiers.backbones import ClassifierModels
from stages.classifiers.dataset import ImageSource
from stages.classifiers.settings import LoaderSettings
from stages.core import progress
from stages.core.archive import Archive
from stages.probe import linear_probe, outliers
from stages.probe.linear_probe import Features, LinearProbe
from stages.schemas.manifest import SPLITS
from stages.schemas.predictions import Predictions
from stages.schemas.split_data import SplitData
from stages.scoring import scores


def extract_features(
    network: ClassifierModels, chosen: SplitData, pictures: Archive, loader: LoaderSettings
) -> Features:
    """Return what the network makes of photos exactly as they are."""
    source = ImageSource.of(pictures, chosen, network.pooled.input_shape[1:3])
    batches = dataset.in_order(source, loader.batch_size)
    n_batches = -(-len(source.names) // loader.batch_size)
    values = inference.apply(network.pooled, progress.track(batches, n_batches, "batch", "probe"), len(source.names))
    return Features(values, chosen.labels, chosen.groups)


def predict_splits(fitted: LinearProbe, seen: dict[str, Features]) -> dict[str, np.ndarray]:
    """The probabilities (N, C) of every split; those of train come from probes that did not see the photo."""
    others = {name: linear_probe.head_probabilities(fitted.head, seen[name].values) for name in ("val", "test")}
    return {"train": fitted.out_of_fold, **others}


def score_splits(fitted: LinearProbe, found: dict[str, np.ndarray], seen: dict[str, Features]) -> dict[str, Any]:
    """Score every split; `train` is out of fold, and so is what chose the penalty."""
    return {"l2": fitted.l2} | {
        name: scores.summary(seen[name].labels, found[name], seen[name].groups) for name in SPLITS
    }


def table(found: dict[str, np.ndarray], splits: dict[str, SplitData], classes: list[str]) -> Predictions:
    """All photos as one probability table."""
    ids = [image_id for name in SPLITS for image_id in splits[name].image_ids]
    order = np.argsort(np.array(ids, dtype=object), kind="stable")
    rows = np.concatenate([found[name] for name in SPLITS])
    return Predictions([ids[place] for place in order], rows[order], classes)


def outlier_scores(seen: dict[str, Features], splits: dict[str, SplitData], n_neighbours: int) -> pd.DataFrame:
    """A row per photo: `image_id`, its `distance` from the photos of train, and the `fence` beyond which it is far."""
    others = np.concatenate([seen["val"].values, seen["test"].values])
    own, of_others = outliers.distances(seen["train"].values, others, n_neighbours)
    ids = [image_id for name in SPLITS for image_id in splits[name].image_ids]
    frame = pd.DataFrame({"image_id": ids, "distance": np.concatenate([own, of_others])})
    return frame.assign(fence=outliers.outlier_threshold(own)).round(6).sort_values("image_id")
