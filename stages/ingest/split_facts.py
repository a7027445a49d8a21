"""How photos were split, for metrics and the report."""

from typing import Any

import pandas as pd

from stages.ingest.splits import SplitBy


def collect(usable: pd.DataFrame, split_by: SplitBy) -> dict[str, Any]:
    """The facts of a split of usable photos, as `splits.with_guides` returns them, with the column `given_group`.

    `split_by`; `in_given_groups`, photos of a given group; by time, photos `without_time`; by origin, photos
    `without_origin`, the number of `origins`, and of those `joined_origins` that share a group with another one.
    """
    facts: dict[str, Any] = {"split_by": split_by, "in_given_groups": int((usable["given_group"] != "").sum())}
    if split_by == "time":
        facts["without_time"] = int(usable["time"].groupby(usable["group"]).transform("max").isna().sum())
    if split_by == "origin":
        origins = usable.loc[usable["own_origin"] != "", ["own_origin", "origin"]].drop_duplicates()
        facts["origins"] = len(origins)
        facts["joined_origins"] = int(origins["origin"].duplicated(keep=False).sum())
        facts["without_origin"] = int((usable["origin"] == "").sum())
    return facts


def notes(facts: dict[str, Any]) -> list[str]:
    """Lines on photos and origins that were not split as the parameters ask."""
    texts = [
        f"{facts[f'without_{name}']} photos have no {name}: they are in train"
        for name in ("time", "origin")
        if facts.get(f"without_{name}")
    ]
    if joined := facts.get("joined_origins"):
        texts.append(f"{joined} origins share near-duplicates or a given group with another one, and so its split")
    return texts
