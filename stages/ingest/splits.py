"""Assign photos to train, val and test: seeded, stratified by class, groups kept together."""

import hashlib

import pandas as pd


def assign(frame: pd.DataFrame, val_share: float, test_share: float, seed: int) -> pd.Series:
    """Assign `train`, `val` or `test` to photos with the columns `label` and `group`.

    Groups are ordered by a hash of the seed and their names, so that added photos change the split of few others.
    Within each class (the most frequent one of a group) test is filled first, then val, each up to its share of the
    class's photos, rounded. A group is never divided. The last group of a class is always in train.
    """
    by_label = frame.groupby("group")["label"]
    by_group = pd.DataFrame({"label": by_label.agg(lambda labels: labels.mode().iloc[0]), "size": by_label.size()})
    by_group["order"] = [hashlib.sha256(f"{seed}/{group}".encode()).hexdigest() for group in by_group.index]
    splits: dict[str, str] = {}
    for _, members in by_group.sort_values("order").groupby("label"):
        splits |= _fill(members["size"], test_share, val_share)
    return frame["group"].map(splits).rename("split")


def _fill(sizes: pd.Series, test_share: float, val_share: float) -> dict[str, str]:
    """The split of each group (index of `sizes`, in order); the groups that remain are in train."""
    total = int(sizes.sum())
    quotas = {"test": round(test_share * total), "val": round(val_share * total)}
    splits = dict.fromkeys(sizes.index, "train")
    for group, size in list(sizes.items())[:-1]:
        for split, quota in quotas.items():
            if size <= quota:
                quotas[split] -= size
                splits[group] = split
                break
    return splits
