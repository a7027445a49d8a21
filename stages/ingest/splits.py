"""Assign photos to train, val and test: seeded and stratified by class, or by time; groups kept together."""

import hashlib
from typing import Any

import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold

from stages.core.errors import UserError
from stages.ingest.settings import IngestSettings
from stages.schemas.manifest import SPLITS


class SplitError(UserError):
    """The photos cannot be split as the parameters ask."""


def assign(frame: pd.DataFrame, settings: IngestSettings) -> pd.Series:
    """The split of photos with the columns `label`, `group`, `time`, and `split`, the given split or empty.

    Given splits are kept. Without given val or test photos, these are taken from the others; without any given split,
    all are assigned: by time where photos have one, test by fold where `settings.folds` is a number, else at random.
    Raises SplitError where a class has fewer groups than folds, for folds where test photos are given or photos have
    times, and for times that decide nothing.
    """
    given = frame["split"]
    if settings.folds is not None and (given == "test").any():
        raise SplitError(
            f"ingest.folds: expected null where test photos are given, found {settings.folds}; to ignore the given "
            "splits of a table, set ingest.columns.split: null"
        )
    pool = frame[(given == "") | (given == "train")]
    shares = {name: share for name, share in _shares(settings).items() if not (given == name).any()}
    if is_by_time(pool, settings):
        _require_times(pool, shares, settings)
        assigned = by_time(pool, shares)
    elif settings.folds is not None:
        in_fold = _in_fold(pool, settings.folds, settings.fold, settings.seed)
        rest = pool[~in_fold]
        others = {"val": settings.val_share / (1 - 1 / settings.folds)} if "val" in shares else {}
        assigned = pd.concat([pool["group"][in_fold].map(lambda _: "test"), by_share(rest, others, settings.seed)])
    else:
        assigned = by_share(pool, shares, settings.seed)
    return given.mask(frame.index.isin(pool.index), assigned.reindex(frame.index)).rename("split")


def _shares(settings: IngestSettings) -> dict[str, float]:
    """The shares of the splits in the order in which they are filled."""
    return {"test": settings.test_share, "val": settings.val_share}


def is_by_time(frame: pd.DataFrame, settings: IngestSettings) -> bool:
    """Whether the splits follow the column `time`: where a photo has one, or should have."""
    return settings.columns.time is not None or bool(frame["time"].notna().any())


def _require_times(pool: pd.DataFrame, shares: dict[str, float], settings: IngestSettings) -> None:
    if pool["time"].isna().all():
        raise SplitError(
            "ingest.columns.time: expected a table or imagefolder metadata with times, found none for any photo; set "
            "it to null, or name the folder of the time by {time} in ingest.layout"
        )
    if settings.folds is not None:
        raise SplitError(
            f"ingest.folds: expected null where photos have times, found {settings.folds}: either each photo is in "
            "test once, or the latest are; set ingest.folds or ingest.columns.time to null"
        )
    if not shares:
        raise SplitError(
            "ingest.columns.time: expected photos without a given split, found none: either the given splits count, "
            "or the times; set ingest.columns.split or ingest.columns.time to null"
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
    class's photos, rounded, and at least one. A group is never divided. The last group of a class is always in train.
    """
    counts = frame.groupby(["group", "label"]).size().rename("count").reset_index()
    most_frequent = counts.sort_values(["count", "label"], ascending=[False, True]).drop_duplicates("group")
    by_group = pd.DataFrame(
        {"label": most_frequent.set_index("group")["label"], "size": counts.groupby("group")["count"].sum()}
    )
    by_group["order"] = [hashlib.sha256(f"{seed}/{group}".encode()).hexdigest() for group in by_group.index]
    splits: dict[str, str] = {}
    for _, members in by_group.sort_values("order").groupby("label"):
        splits |= _fill(members["size"], shares)
    return frame["group"].map(splits).rename("split")


def _fill(sizes: pd.Series, shares: dict[str, float]) -> dict[str, str]:
    """The split of each group (index of `sizes`, in order); the groups that remain are in train."""
    total = int(sizes.sum())
    # A share of few photos would round to none, and the split would lack the class.
    quotas = {name: max(1, round(share * total)) if share else 0 for name, share in shares.items()}
    splits = dict.fromkeys(sizes.index, "train")
    for group, size in list(sizes.items())[:-1]:
        for split, quota in quotas.items():
            if size <= quota:
                quotas[split] -= size
                splits[group] = split
                break
    return splits


def _in_fold(frame: pd.DataFrame, folds: int, fold: int, seed: int) -> pd.Series:
    """Whether a photo is in fold number `fold`; folds are stratified by class and keep groups together."""
    n_groups = frame.groupby("label")["group"].nunique().sort_values(kind="stable")
    if frame.empty or n_groups.iloc[0] < folds:
        fewest = f"{n_groups.iloc[0]} of `{n_groups.index[0]}`" if len(n_groups) else "no photos"
        raise SplitError(
            f"ingest.folds: expected at most as many folds as each class has groups of photos, found {folds} folds and "
            f"{fewest}; lower ingest.folds"
        )
    ordered = frame.sort_index()
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    held_out = [test for _, test in splitter.split(ordered, ordered["label"], ordered["group"])][fold]
    return frame.index.to_series().isin(ordered.index[held_out])


def leaks(frame: pd.DataFrame) -> pd.DataFrame:
    """The photos of groups whose members are in different splits, with the columns of `frame`, sorted by group."""
    n_splits = frame.groupby("group")["split"].transform("nunique")
    return frame[n_splits > 1].sort_values(["group", "split"])


def count_leaks(frame: pd.DataFrame) -> dict[str, object]:
    """Groups across splits, their photos by split, and by what joins them: near-duplicates or given groups."""
    leaking = leaks(frame)
    return {
        "groups": int(leaking["group"].nunique()),
        "photos": len(leaking),
        "by_split": {name: int((leaking["split"] == name).sum()) for name in SPLITS},
    }
