"""A map of photos: their features in the plane, by t-SNE (van der Maaten, Hinton: JMLR 9, 2008)."""

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

from stages.probe.linear_probe import Features
from stages.schemas.manifest import SPLITS
from stages.schemas.split_data import SplitData

# t-SNE of so many photos takes some ten seconds; of more a sample is drawn.
_MAX_PHOTOS = 2000
# As in the paper, section 4.2, which first reduces features to 30 dimensions; sections 2 and 3.1 have the perplexity.
_DIMENSIONS, _PERPLEXITY = 30, 30.0
# With fewer photos than this t-SNE has no neighbourhood to keep, and the first two principal components stand.
_MIN_PHOTOS = 10
# A smaller difference of directions is a rounding error.
_MIN_SPREAD = 1e-6
_DIGITS = 4


def map_table(features: dict[str, Features], splits: dict[str, SplitData]) -> pd.DataFrame:
    """A row per photo, at most 2000 drawn by lot: `image_id`, `x` and `y` as of `project`, sorted by id."""
    ids = np.array([image_id for name in SPLITS for image_id in splits[name].image_ids], dtype=object)
    values = np.concatenate([features[name].values for name in SPLITS])
    chosen = np.argsort(ids, kind="stable")
    if len(chosen) > _MAX_PHOTOS:
        chosen = chosen[np.sort(np.random.default_rng(0).choice(len(chosen), _MAX_PHOTOS, replace=False))]
    places = project(values[chosen])
    return pd.DataFrame({"image_id": ids[chosen], "x": places[:, 0], "y": places[:, 1]})


def project(values: np.ndarray) -> np.ndarray:
    """Return places `(N, 2)` float64 in 0..1, at one scale for both axes, of features `(N, D)` of any length.

    Features count by their direction, as for outliers. Principal components first, then t-SNE from the first two of
    them. One thread: sums over threads would differ in their last digits, and t-SNE magnifies that.
    """
    directions = normalize(values.astype(np.float64))
    if np.ptp(directions, axis=0).max() < _MIN_SPREAD:
        return np.full((len(values), 2), 0.5)
    with threadpool_limits(1):
        reduced = PCA(min(_DIMENSIONS, *directions.shape), svd_solver="full").fit_transform(directions)
        if len(values) >= _MIN_PHOTOS and reduced.shape[1] > 1:
            perplexity = min(_PERPLEXITY, (len(values) - 1) / 3)
            reduced = TSNE(perplexity=perplexity, init="pca", random_state=0).fit_transform(reduced)
    places = np.zeros((len(values), 2))
    places[:, : reduced.shape[1]] = reduced[:, :2]
    return _scaled(places)


def _scaled(places: np.ndarray) -> np.ndarray:
    """Places `(N, 2)`, not all equal, moved and scaled into 0..1, the centre in the middle."""
    low, high = places.min(axis=0), places.max(axis=0)
    scaled: np.ndarray = (places - (low + high) / 2) / (high - low).max() + 0.5
    return np.clip(scaled, 0, 1).round(_DIGITS)
