"""Which photos train, which choose, which judge: seeded, stratified by class, groups kept together."""

import hashlib

import pandas as pd


def assign(frame: pd.DataFrame, val_share: float, test_share: float, seed: int) -> pd.Series:
    """Assign `train`, `val` or `test` to photos with the columns `label` and `group`.

    Groups are taken in an order that depends on the seed and their names alone, so that adding photos moves few
    others. Within each class (that of most of a group's photos) test is filled first, then val, each up to its
    share of the class's photos, rounded; a group is never cut. A class's last group always trains.
    """
    by_label = frame.groupby("group")["label"]
    by_group = pd.DataFrame({"label": by_label.agg(lambda labels: labels.mode().iloc[0]), "size": by_label.size()})
    by_group["order"] = [hashlib.sha256(f"{seed}/{group}".encode()).hexdigest() for group in by_group.index]
    chosen: dict[str, str] = {}
    for _, members in by_group.sort_values("order").groupby("label"):
        chosen |= _fill(members["size"], test_share, val_share)
    return frame["group"].map(chosen).rename("split")


def _fill(sizes: pd.Series, test_share: float, val_share: float) -> dict[str, str]:
    """Give each group (index of `sizes`, in order) a split; later groups are left for training."""
    total = int(sizes.sum())
    quotas = {"test": round(test_share * total), "val": round(val_share * total)}
    chosen = dict.fromkeys(sizes.index, "train")
    for group, size in list(sizes.items())[:-1]:
        for split, quota in quotas.items():
            if size <= quota:
                quotas[split] -= size
                chosen[group] = split
                break
    return chosen
