"""Splits by origin: all photos of one dealer, website or photographer are in one split."""

import hashlib
from collections import Counter

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from stages.ingest.errors import SplitError

Labels = Counter[str]


def join_origins(origins: "pd.Series[str]", groups: "pd.Series[str]") -> "pd.Series[str]":
    """The origin of each photo, the same for origins that share a group: the first of them in the order of their names.

    Photos of a group without any origin have an empty one.
    """
    names, origin = np.unique(origins.to_numpy(dtype=str), return_inverse=True)
    n_groups, group = groups.nunique(), pd.factorize(groups)[0]
    # Origins and groups are the nodes, and photos join them: origins that share a group share a component.
    is_known = (origins != "").to_numpy()
    edges = (group[is_known], n_groups + origin[is_known])
    size = n_groups + len(names)
    graph = coo_array((np.ones(len(edges[0]), dtype=np.int8), edges), shape=(size, size))
    component = connected_components(graph, directed=False)[1]
    first: dict[int, str] = {}
    for number, name in enumerate(names.tolist()):
        first.setdefault(int(component[n_groups + number]), name)
    return pd.Series([first.get(number, "") for number in component[group].tolist()], origins.index, dtype=str)


def by_origin(frame: pd.DataFrame, shares: dict[str, float], seed: int) -> pd.Series:
    """Assign `train`, or one of the splits in `shares`, to photos with the columns `label` and `origin`.

    Origins are ordered by a hash of the seed and their names. In this order each that brings a split nearer to its
    share of the photos with an origin is taken, as long as every class keeps photos in train and an origin is left for
    each split that follows; if none does, the smallest. Photos without an origin are in train. Compare
    sklearn.model_selection.GroupShuffleSplit, whose shares are of groups. Raises SplitError where no origin can be
    spared for a split.
    """
    known = frame[frame["origin"] != ""]
    wanted = {name: share for name, share in shares.items() if share}
    if wanted and not frame.empty and known.empty:
        raise SplitError(
            f"ingest.split_by: origin: expected photos with an origin, found none among {len(frame)}; name the column "
            "of a table by ingest.columns.origin, or use {origin} in ingest.layout"
        )
    by_label = {str(origin): Counter(labels) for origin, labels in known.groupby("origin")["label"]}
    left = {name: by_label[name] for name in sorted(by_label, key=lambda name: _order(seed, name))}
    train = Counter(frame["label"])
    splits: dict[str, str] = {}
    for number, (name, share) in enumerate(wanted.items() if left else (), 1):
        chosen = _choose(left, train, share * len(known), len(wanted) - number)
        if not chosen:
            raise SplitError(_none_to_spare(name, left, train))
        for origin in chosen:
            train -= left.pop(origin)
            splits[origin] = name
    return pd.Series([splits.get(name, "train") for name in frame["origin"]], frame.index, dtype=str, name="split")


def _order(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}/{name}".encode()).hexdigest()


def _choose(left: dict[str, Labels], train: Labels, wanted: float, n_later: int) -> list[str]:
    """The origins to take from `left` for a split of `wanted` photos; none where each would take a class from train."""
    free = [name for name, labels in left.items() if _can_spare(train, labels)]
    # One of all stays in train.
    at_most = max(min(len(free), len(left) - 1) - n_later, 1)
    chosen: list[str] = []
    rest, size = train.copy(), 0
    for name in free:
        n = left[name].total()
        is_nearer = abs(size + n - wanted) < abs(size - wanted)
        if len(chosen) < at_most and is_nearer and _can_spare(rest, left[name]):
            chosen.append(name)
            rest -= left[name]
            size += n
    return chosen or sorted(free, key=lambda name: left[name].total())[:1]


def _can_spare(train: Labels, labels: Labels) -> bool:
    """Whether each class keeps photos in train without those of an origin."""
    return all(train[label] > n for label, n in labels.items())


def _none_to_spare(split: str, left: dict[str, Labels], train: Labels) -> str:
    name, labels = next(iter(left.items()), ("", Counter()))
    lost = [label for label, n in labels.items() if train[label] <= n]
    example = f": without `{name}`, train has no photos of {', '.join(sorted(lost)[:5])}" if lost else ""
    return (
        f"ingest.split_by: origin: expected an origin for {split} without which each class keeps photos to train on, "
        f"found none among {len(left)} (origins that share near-duplicates or a group count as one){example}; add "
        f"photos of other origins, set ingest.{split}_share: 0, or ingest.split_by: random"
    )
