"""The rows of data/manifest.csv: status and reason of every file, groups and splits of the usable photos."""

import unicodedata

import pandas as pd

from stages.ingest import duplicates, splits
from stages.ingest.listing import IngestError
from stages.ingest.settings import IngestSettings
from stages.schemas import manifest


def similar_labels(labels: "pd.Series[str]") -> list[list[str]]:
    """Labels that differ only in case, Unicode form or spaces: perhaps one class under several names."""
    names = pd.Series(sorted(set(labels) - {""}), dtype=str)
    plain = names.map(lambda name: "".join(unicodedata.normalize("NFKC", name).casefold().split()))
    return [group.tolist() for _, group in names.groupby(plain) if len(group) > 1]


def assign_status(frame: pd.DataFrame) -> pd.DataFrame:
    """Add `status` and complete `reason`: without a label, duplicate, or conflicting labels.

    Of files with equal bytes the first path with a label is kept. If their labels differ, none is.
    """
    rows = frame.sort_values("path")
    readable = rows["reason"] == ""
    labelled = rows[readable & (rows["label"] != "")]
    n_labels = labelled.groupby("image_id")["label"].transform("nunique")
    rows.loc[readable, "reason"] = "no_label"
    rows.loc[labelled.index, "reason"] = ""
    rows.loc[labelled.index[labelled["image_id"].duplicated()], "reason"] = "duplicate"
    rows.loc[labelled.index[n_labels > 1], "reason"] = "conflicting_labels"
    rows["status"] = "rejected"
    rows.loc[rows["reason"] == "", "status"] = "ok"
    rows.loc[~readable, "status"] = "failed"
    return rows


def check_classes(usable: pd.DataFrame, labels: pd.Series, settings: IngestSettings) -> bool:
    """Whether every class has enough photos for val and test. Raises IngestError if only some classes have."""
    counts = usable["label"].value_counts().reindex(sorted(set(labels) - {""}), fill_value=0)
    few = counts[counts < settings.min_photos_per_class]
    if len(counts) < 2 or counts.max() == 0:
        raise IngestError(
            f"{settings.source}: expected usable photos of two classes or more, found {counts.to_dict()} in "
            f"{len(labels)} files; ingest.source is the folder that holds the class folders"
        )
    if 0 < len(few) < len(counts) or (few == 0).any():
        raise IngestError(
            f"{settings.source}: expected at least {settings.min_photos_per_class} usable photos of each class, found "
            + ", ".join(f"{count} of `{name}`" for name, count in few.items())
            + "; add photos, remove the class, or lower ingest.min_photos_per_class"
        )
    return few.empty


def complete(inspected: pd.DataFrame, settings: IngestSettings) -> pd.DataFrame:
    """The manifest from the inspected files: with groups and splits, sorted by image id and path."""
    rows = assign_status(inspected).sort_values(["image_id", "path"], ignore_index=True)
    usable = rows[rows["status"] == "ok"].copy()
    numbers = duplicates.groups(usable["phash"].tolist(), settings.near_duplicate_bits)
    usable["group"] = usable.groupby(numbers)["image_id"].transform("min")
    can_hold_out = check_classes(usable, rows["label"], settings)
    shares = (settings.val_share, settings.test_share) if can_hold_out else (0.0, 0.0)
    usable["split"] = splits.assign(usable, *shares, settings.seed)
    rows = rows.join(usable[["group", "split"]])
    return rows.fillna({"group": "", "split": ""})[list(manifest.COLUMNS)]


def count(rows: pd.DataFrame) -> dict[str, object]:
    """Counts for metrics: files by status, reason and split, groups of near-duplicates."""
    usable = rows[rows["status"] == "ok"]
    sizes = usable.groupby("group")["label"].agg(["size", "nunique"])
    return {
        "files": len(rows),
        "status": rows["status"].value_counts().to_dict(),
        "reason": rows.loc[rows["reason"] != "", "reason"].value_counts().to_dict(),
        "split": usable["split"].value_counts().to_dict(),
        "near_duplicate_groups": int((sizes["size"] > 1).sum()),
        "near_duplicate_groups_across_classes": int((sizes["nunique"] > 1).sum()),
    }


def class_counts(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per class and split with the number of usable `photos`, for a bar chart."""
    usable = rows[rows["status"] == "ok"]
    return usable.groupby(["label", "split"]).size().rename("photos").reset_index()
