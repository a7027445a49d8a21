"""Assign photos to train, val and test: seeded and stratified by class, by time or by origin; groups kept together."""

import hashlib
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from stages.ingest import origin_splits
from stages.ingest.errors import SplitError
from stages.ingest.settings import IngestSettings
from stages.schemas.manifest import SPLITS

SplitBy = Literal["random", "time", "origin"]


def decide(frame: pd.DataFrame, settings: IngestSettings) -> SplitBy:
    """What splits go by; `auto` is decided by what photos with the columns `time` and `origin` have, or should have.

    Raises SplitError where they have both.
    """
    if settings.split_by != "auto":
        return settings.split_by
    is_by_time = settings.columns.time is not None or bool(frame["time"].notna().any())
    is_by_origin = settings.columns.origin is not None or bool((frame["origin"] != "").any())
    if is_by_time and is_by_origin:
        raise SplitError(
            "ingest.split_by: expected times or origins with auto, found both: set it to time (the latest photos are "
            "test) or to origin (whole origins are test)"
        )
    return "time" if is_by_time else "origin" if is_by_origin else "random"


def with_guides(known: pd.DataFrame, split_by: SplitBy, settings: IngestSettings) -> pd.DataFrame:
    """The photos with the `time` or the `origin` by which `assign` splits them.

    The time is that of `columns.time` or of the path; where the source has none, that of the EXIF data (`exif_time`).
    The origin is one for origins that share a group; `own_origin` is the given one.
    """
    if split_by == "time" and settings.columns.time is None and known["time"].isna().all():
        return known.assign(time=known["exif_time"])
    if split_by == "origin":
        joined = origin_splits.join_origins(known["origin"], known["group"])
        return known.assign(own_origin=known["origin"], origin=joined)
    return known


def assign(frame: pd.DataFrame, settings: IngestSettings) -> pd.Series:
    """The split of photos with the columns `label`, `group`, `time`, `origin`, and `split`, the given split or empty.

    Given splits are kept. Without given val or test photos, these are taken from the others; without any given split,
    all are assigned, as `decide` says, test by fold where `settings.folds` is a number. Raises SplitError where a class
    has fewer groups than folds, for folds where test photos are given or splits are by time, for times and origins that
    decide nothing, and where no origin can be spared for a split.
    """
    given = frame["split"]
    if settings.folds is not None and (given == "test").any():
        raise SplitError(
            f"ingest.folds: expected null where test photos are given, found {settings.folds}; to ignore the given "
            "splits of a table, set ingest.columns.split: null"
        )
    pool = frame[(given == "") | (given == "train")]
    shares = {name: share for name, share in _shares(settings).items() if not (given == name).any()}
    split_by = decide(pool, settings)
    if split_by != "random":
        _require_room(split_by, shares)
    if split_by == "time":
        _require_times(pool, settings)
        assigned = by_time(pool, shares)
    elif settings.folds is not None:
        in_fold = (_in_fold_of_origins if split_by == "origin" else _in_fold)(pool, settings)
        rest = pool[~in_fold]
        others = {"val": settings.val_share / (1 - 1 / settings.folds)} if "val" in shares else {}
        assigned = pd.concat([pool["group"][in_fold].map(lambda _: "test"), _draw(rest, others, split_by, settings)])
    else:
        assigned = _draw(pool, shares, split_by, settings)
    return given.mask(frame.index.isin(pool.index), assigned.reindex(frame.index)).rename("split")


def _shares(settings: IngestSettings) -> dict[str, float]:
    """The shares of the splits in the order in which they are filled."""
    return {"test": settings.test_share, "val": settings.val_share}


def _draw(frame: pd.DataFrame, shares: dict[str, float], split_by: SplitBy, settings: IngestSettings) -> pd.Series:
    draw = origin_splits.by_origin if split_by == "origin" else by_share
    return draw(frame, shares, settings.seed)


def _require_room(split_by: SplitBy, shares: dict[str, float]) -> None:
    if not shares:
        raise SplitError(
            f"ingest.split_by: {split_by}: expected photos without a given split, found none: either the given splits "
            f"count, or the {split_by}s; to keep the given ones, set ingest.split_by: random; to ignore those of a "
            "table, set ingest.columns.split: null"
        )


def _require_times(pool: pd.DataFrame, settings: IngestSettings) -> None:
    if settings.folds is not None:
        raise SplitError(
            f"ingest.folds: expected null where photos have times, found {settings.folds}: either each photo is in "
            "test once, or the latest are; set ingest.folds: null, or ingest.split_by: random"
        )
    if pool["time"].isna().all() and len(pool):
        raise SplitError(
            "ingest.split_by: time: expected a table or imagefolder metadata with times, found none for any photo; set "
            "ingest.columns.time, name the folder of the time by {time} in ingest.layout, or, for photos with "
            "DateTimeOriginal in their EXIF data, set ingest.columns.time: null"
        )


def by_time(frame: pd.DataFrame, shares: dict[str, float]) -> pd.Series:
    """Assign splits by the column `time`: the latest share is `test`, the share before it `val`, the rest `train`.

    A group counts by its latest photo, and groups of one time stay together, so every photo of train is older than
    those times of val, and these than those of test. A split can so become larger than its share of the photos that
    have a time. Groups without one, and the oldest, are in train.
    """
    latest = frame.groupby("group")["time"].transform("max")
    counts = latest.value_counts().sort_index(ascending=False)
    missing = {name: round(share * int(counts.sum())) for name, share in shares.items()}
    splits: dict[Any, str] = {}
    for time, count in list(counts.items())[:-1]:
        splits[time] = next((name for name, n in missing.items() if n > 0), "train")
        missing[splits[time]] = missing.get(splits[time], 0) - int(count)
    return pd.Series([splits.get(time, "train") for time in latest], frame.index, name="split", dtype=str)


def by_share(frame: pd.DataFrame, shares: dict[str, float], seed: int) -> pd.Series:
    """Assign `train`, or one of the splits in `shares`, to photos with the columns `label` and `group`.

    Groups are ordered by a hash of the seed and their names, so that added photos change the split of few others.
    Within each class (the most frequent one of a group) the splits are filled in order, each up to its share of the
    class's photos, rounded, and at least one. A group is never divided: where all are larger than the share, the
    smallest is taken. The last group of a class is always in train.
    """
    # Numbers in place of names: as Python values these take several times the memory of the table.
    group, groups = pd.factorize(frame["group"])
    label, sizes = _most_frequent(group, pd.factorize(frame["label"], sort=True)[0]), np.bincount(group)
    digests = (hashlib.sha256(f"{seed}/{name}".encode()).digest() for name in groups)
    by_hash = np.argsort(np.fromiter(digests, dtype="S32", count=len(groups)))
    order = by_hash[np.argsort(label[by_hash], kind="stable")]
    of_class = np.split(order, np.flatnonzero(np.diff(label[order])) + 1)
    names = ["train", *shares]
    split = np.zeros(len(groups), np.int8)
    for members in of_class:
        split[members] = [names.index(name) for name in _fill(sizes[members].tolist(), shares)]
    return pd.Series(pd.Categorical.from_codes(split[group], pd.Index(names)), frame.index, name="split").astype(str)


def _most_frequent(group: np.ndarray, label: np.ndarray) -> np.ndarray:
    """The label (G,) that most photos of each group have, of equally many the first; both are numbers (N,) from 0."""
    n_labels = int(label.max(initial=0)) + 1
    pairs, counts = np.unique(group * n_labels + label, return_counts=True)
    order = np.lexsort((pairs, -counts, pairs // n_labels))
    pairs = pairs[order]
    return pairs[np.unique(pairs // n_labels, return_index=True)[1]] % n_labels


def _fill(sizes: list[int], shares: dict[str, float]) -> list[str]:
    """The split of each group, given in order by their sizes; the groups that remain are in train.

    A split whose share no group fits into has the smallest group, as long as one remains for train.
    """
    total = sum(sizes)
    # A share of few photos would round to none, and the split would lack the class.
    quotas = {name: max(1, round(share * total)) if share else 0 for name, share in shares.items()}
    splits = ["train"] * len(sizes)
    for number, size in enumerate(sizes[:-1]):
        for split, quota in quotas.items():
            if size <= quota:
                quotas[split] -= size
                splits[number] = split
                break
    for split in (name for name in quotas if shares[name] and name not in splits):
        free = [number for number in range(len(splits) - 1) if splits[number] == "train"]
        if free:
            splits[min(free, key=sizes.__getitem__)] = split
    return splits


def _in_fold(frame: pd.DataFrame, settings: IngestSettings) -> pd.Series:
    """Whether a photo is in the fold that is test; folds are stratified by class and keep groups together."""
    folds = settings.folds or 0
    n_groups = frame.groupby("label")["group"].nunique().sort_values(kind="stable")
    if frame.empty or n_groups.iloc[0] < folds:
        fewest = f"{n_groups.iloc[0]} of `{n_groups.index[0]}`" if len(n_groups) else "no photos"
        raise SplitError(
            f"ingest.folds: expected at most as many folds as each class has groups of photos, found {folds} folds and "
            f"{fewest}; lower ingest.folds"
        )
    ordered = frame.sort_index()
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=settings.seed)
    held_out = [test for _, test in splitter.split(ordered, ordered["label"], ordered["group"])][settings.fold]
    return frame.index.to_series().isin(ordered.index[held_out])


def _in_fold_of_origins(frame: pd.DataFrame, settings: IngestSettings) -> pd.Series:
    """Whether a photo is in the fold that is test; folds are whole origins, in equal numbers.

    As many folds as origins leave one origin out. Photos without an origin are in no fold.
    """
    folds = settings.folds or 0
    ordered = frame[frame["origin"] != ""].sort_index()
    n_origins = ordered["origin"].nunique()
    if n_origins < folds:
        raise SplitError(
            f"ingest.folds: expected at most as many folds as there are origins, found {folds} folds and {n_origins} "
            "origins (those that share near-duplicates or a group count as one); lower ingest.folds"
        )
    splitter = GroupKFold(folds, shuffle=True, random_state=settings.seed)
    held_out = [test for _, test in splitter.split(ordered, groups=ordered["origin"])][settings.fold]
    return frame.index.to_series().isin(ordered.index[held_out])


def leaks(frame: pd.DataFrame) -> pd.DataFrame:
    """The photos of groups whose members are in different splits, with the columns of `frame`, sorted by group."""
    group = pd.factorize(frame["group"])[0]
    pairs = pd.DataFrame({"group": group, "split": pd.factorize(frame["split"])[0]}).drop_duplicates()
    is_divided = np.bincount(pairs["group"], minlength=1) > 1
    return frame[is_divided[group]].sort_values(["group", "split"])


def count_leaks(frame: pd.DataFrame) -> dict[str, object]:
    """Groups across splits, their photos by split, and by what joins them: near-duplicates or given groups."""
    leaking = leaks(frame)
    return {
        "groups": int(leaking["group"].nunique()),
        "photos": len(leaking),
        "by_split": {name: int((leaking["split"] == name).sum()) for name in SPLITS},
    }
