"""The rows of data/manifest.csv: status and reason of every file, groups and splits of the usable photos."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from stages.core import memory, tables
from stages.ingest import annotated_boxes, corrected, duplicates, split_facts, splits
from stages.ingest.errors import IngestError
from stages.ingest.settings import IngestSettings
from stages.schemas import manifest
from stages.schemas.manifest import SPLITS, UNLABELLED

_CORNERS = ["x_min", "y_min", "x_max", "y_max"]
# What neither groups nor splits follow from.
_FACTS = [*_CORNERS, "annotated_width", "annotated_height", "orientation", "width", "height", "note"]
# Of equal files in several given splits, the one of the first of these is kept: test stays as it was given.
_KEPT_FIRST = {"test": 0, "val": 1, "train": 2, "": 3, UNLABELLED: 4}


class Manifest(NamedTuple):
    """The `rows` of data/manifest.csv, the `leaks`: photos of groups that straddle given splits, and facts for metrics.

    See `split_facts.collect` and `corrected.count`.
    """

    rows: pd.DataFrame
    leaks: pd.DataFrame
    split_facts: dict[str, Any]
    corrections: dict[str, int]


def with_upright_boxes(inspected: pd.DataFrame) -> pd.DataFrame:
    """Replace annotated boxes by those in pixels of the upright photo; rows whose box cannot be used get a reason."""
    frame = inspected.copy(deep=False)
    has_box = frame[_CORNERS].notna().any(axis=1) & (frame["reason"] == "")
    checked = list(map(annotated_boxes.upright_box, tables.records(frame, np.flatnonzero(has_box))))
    frame.loc[has_box, _CORNERS] = np.array([box for box, _ in checked], dtype=np.float64).reshape(-1, 4)
    frame.loc[has_box, "reason"] = [reason for _, reason in checked]
    return frame


def with_object_ids(frame: pd.DataFrame) -> pd.DataFrame:
    """Number the labelled objects of one photo: `-2`, `-3` follow the image id of the second and third box.

    The different boxes of a photo are numbered in the order of their corners.
    """
    keys = ["image_id", *_CORNERS]
    boxed = frame.loc[frame["x_min"].notna() & (frame["image_id"] != ""), keys]
    distinct = boxed.drop_duplicates().sort_values(keys)
    distinct["number"] = distinct.groupby("image_id").cumcount() + 1
    numbers = boxed.merge(distinct, on=keys, how="left", validate="m:1")["number"].set_axis(boxed.index)
    suffix = numbers.map(lambda number: f"-{number}" if number > 1 else "").astype(str)
    return frame.assign(image_id=frame["image_id"] + suffix.reindex(frame.index, fill_value=""))


def assign_status(frame: pd.DataFrame) -> pd.DataFrame:
    """Add `status` and complete `reason`: without a label, duplicate, or conflicting labels.

    Of files with equal bytes the first path with a label is kept, of given splits that of test, then val. If their
    labels differ, none is. Photos to predict need no label; one that equals another photo is a duplicate, too.
    """
    rows = _numbered(frame)
    reasons = frame["reason"].copy()
    reasons[rows.index[rows["is_readable"] & ~rows["is_unlabelled"] & ~rows["has_label"]]] = "no_label"
    labelled = rows[rows["is_readable"] & ~rows["is_unlabelled"] & rows["has_label"]]
    copies = labelled[labelled["image"].duplicated(keep=False)]
    n_labels = copies.groupby("image")["label"].transform("nunique")
    reasons[copies.index[copies["image"].duplicated()]] = "duplicate"
    reasons[copies.index[n_labels > 1]] = "conflicting_labels"
    used = rows[(reasons == "").reindex(rows.index)]
    reasons[used.index[used["image"].duplicated()]] = "duplicate"
    status = np.select([reasons == "", reasons.isin(manifest.REJECTED)], ["ok", "rejected"], "failed")
    return frame.assign(reason=reasons, status=pd.Series(status, frame.index, dtype=str))


def _numbered(frame: pd.DataFrame) -> pd.DataFrame:
    """What statuses follow from, the rows in the order in which copies are kept.

    Texts are numbers: pandas compares texts as Python values, which take several times their memory.
    """
    facts = {
        "image": pd.factorize(frame["image_id"])[0],
        "label": pd.factorize(frame["label"])[0],
        "has_label": frame["label"] != "",
        "is_readable": frame["reason"] == "",
        "is_unlabelled": frame["split"] == UNLABELLED,
    }
    rank = np.select([frame["split"] == name for name in _KEPT_FIRST], [*_KEPT_FIRST.values()])
    by_path = frame["path"].array.argsort(kind="stable")
    order = by_path[np.argsort(rank[by_path], kind="stable")]
    return pd.DataFrame(facts, frame.index).iloc[order]


def complete(inspected: pd.DataFrame, settings: IngestSettings, decisions: pd.DataFrame) -> Manifest:
    """The manifest from the inspected files: with groups and splits, sorted by image id and path.

    `decisions` are those of data/corrections.csv. Raises IngestError for a decided class that the source does not have.
    """
    rows = assign_status(corrected.resolve(with_object_ids(with_upright_boxes(inspected)), decisions))
    # As much memory as the rows take: nothing else may hold on to it.
    del inspected
    rows = rows.sort_values(["image_id", "path"], ignore_index=True)
    memory.release()
    # Copies count as leaks, too, though only one of them is used.
    known = rows.drop(columns=_FACTS)[(rows["status"] == "ok") | (rows["reason"] == "duplicate")]
    # Photos to predict have groups of their own: they must not change the splits of the others.
    is_unlabelled = known["split"] == UNLABELLED
    parts = [_groups(known[~is_unlabelled], settings), _groups(known[is_unlabelled], settings)]
    known = known.drop(columns="phash").assign(given_group=known["group"], group=pd.concat(parts))
    labelled = known[~is_unlabelled]
    split_by = splits.decide(labelled, settings)
    guided = splits.with_guides(labelled, split_by, settings)
    usable = guided[guided["status"] == "ok"]
    few = classes_with_few(usable, rows["label"], settings)
    can_hold_out = len(few) < usable["label"].nunique()
    changes = {"val_share": 0.0, "test_share": 0.0, "folds": None, "fold": 0, "split_by": "random"}
    changes = {"split_by": split_by} if can_hold_out else changes
    usable = usable.assign(split=splits.assign(usable, settings.replace(**changes)))
    leaks = splits.leaks(_in_splits(known, usable))
    rows["group"] = known["group"].where(known["status"] == "ok", "").reindex(rows.index, fill_value="")
    rows["split"] = rows["split"].where(rows["split"] == UNLABELLED, "")
    rows.loc[usable.index, "split"] = usable["split"]
    facts = split_facts.collect(usable, split_by if can_hold_out else "random")
    corrected_rows = corrected.apply(rows, decisions)[list(manifest.COLUMNS)]
    return Manifest(corrected_rows, leaks, facts, corrected.count(rows, decisions))


def _groups(known: pd.DataFrame, settings: IngestSettings) -> "pd.Series[str]":
    """The group of each photo: the smallest image id among its near-duplicates and the photos of its given group.

    The photos are sorted by image id.
    """
    numbers = duplicates.groups(known["phash"], settings.near_duplicate_bits, known["group"])
    first, group = np.unique(numbers, return_index=True, return_inverse=True)[1:]
    return known["image_id"].iloc[first[group]].set_axis(known.index)


def _in_splits(known: pd.DataFrame, usable: pd.DataFrame) -> pd.DataFrame:
    """The usable photos with their splits, and their copies that were given another split than they."""
    copies = known[(known["reason"] == "duplicate") & known["split"].isin(SPLITS)]
    is_kept = known.index.isin(usable.index) & known["image_id"].isin(copies["image_id"])
    kept = known[is_kept].set_index("image_id")["split"]
    return pd.concat([usable, copies[copies["split"] != copies["image_id"].map(kept)]])


def classes_with_few(usable: pd.DataFrame, labels: pd.Series, settings: IngestSettings) -> "pd.Series[int]":
    """The number of usable photos of each class that has fewer than `settings.min_photos_per_class`."""
    counts = usable["label"].value_counts().reindex(sorted(set(labels) - {""}), fill_value=0)
    return counts[counts < settings.min_photos_per_class]


def check(made: Manifest, settings: IngestSettings) -> list[str]:
    """Check that the splits can train and score every class; return warnings.

    Raises IngestError if there are not two classes with photos, if some classes but not all have too few, if a class
    has no photo in train, or for leaks where `settings.leaks` is `error`.
    """
    rows = made.rows
    labelled = rows[rows["split"] != UNLABELLED]
    usable = labelled[labelled["status"] == "ok"]
    few = classes_with_few(usable, labelled["label"], settings)
    if usable["label"].nunique() < 2:
        raise IngestError(_no_classes(labelled, usable, settings.source))
    if len(few) > 0 and (len(few) < usable["label"].nunique() or (few == 0).any()):
        raise IngestError(
            f"{settings.source}: expected at least {settings.min_photos_per_class} usable photos of each class, found "
            + ", ".join(f"{count} of `{name}`" for name, count in few.items())
            + "; data/manifest.csv has the reason of each file; add photos, drop the class by ingest.class_map, or "
            "lower ingest.min_photos_per_class"
        )
    notes = split_facts.notes(made.split_facts)
    if lost := made.corrections["without_photo"]:
        notes.append(f"{lost} decisions of data/corrections.csv are on photos that the source does not have or use")
    return [*notes, *_check_train(usable, made, settings), *_check_leaks(made.leaks, settings)]


def _no_classes(labelled: pd.DataFrame, usable: pd.DataFrame, source: str) -> str:
    reasons = labelled.loc[labelled["reason"] != "", "reason"].value_counts()
    found = f"found {len(usable)} usable photos of {usable['label'].nunique()} classes in {len(labelled)} files"
    why = "; ".join(f"{count} {name}" for name, count in reasons.items())
    is_elsewhere = len(reasons) > 0 and reasons.index[0] in ("missing", "outside")
    paths = "the paths that it names are relative to its own folder, or to ingest.root"
    hint = paths if is_elsewhere else "ingest.source is the folder that holds the class folders"
    return (
        f"{source}: expected usable photos of two classes or more, {found}{f' ({why})' if why else ''}; "
        f"data/manifest.csv has the reason of each file; {hint}"
    )


def _check_train(usable: pd.DataFrame, made: Manifest, settings: IngestSettings) -> list[str]:
    counts = usable.groupby(["label", "split"]).size().unstack(fill_value=0).reindex(columns=list(SPLITS), fill_value=0)
    lost = counts.index[counts["train"] == 0].tolist()
    if lost:
        raise IngestError(
            f"{settings.source}: expected photos of each class in train, found none of {', '.join(lost)}; add photos, "
            f"or drop the class by ingest.class_map; {_WHY_LOST[made.split_facts['split_by']]}"
        )
    texts = []
    for name in ("val", "test"):
        without = counts.index[counts[name] == 0].tolist()
        if without and len(without) == len(counts):
            texts.append(f"no photo is in {name}: {_CONSEQUENCE[name]}; {_remedy(name)}")
        elif without:
            texts.append(f"{len(without)} classes have no photo in {name}: {', '.join(without[:5])}; {_remedy(name)}")
    return texts


def _remedy(split: str) -> str:
    return f"add photos, give some this split in the source, or raise ingest.{split}_share"


_WHY_LOST = {
    "random": "near-duplicates and equal groups share a split: lower ingest.near_duplicate_bits",
    "time": "all its photos are later than those of train: lower the shares of val and test, or set ingest.split_by: "
    "random",
    "origin": "all its origins are in val or test: set another ingest.seed or fold, or ingest.split_by: random",
}
_CONSEQUENCE = {
    "val": "training runs all epochs, and weights and temperature are not fitted",
    "test": "nothing is evaluated",
}


def _check_leaks(leaks: pd.DataFrame, settings: IngestSettings) -> list[str]:
    if leaks.empty:
        return []
    first = leaks[leaks["group"] == leaks["group"].iloc[0]]
    example = " and ".join(f"{path} ({split})" for path, split in zip(first["path"][:2], first["split"][:2]))
    text = (
        f"leaks: {len(leaks)} photos have near-duplicates or photos of the same given group in another given split "
        f"(number of such groups: {leaks['group'].nunique()}), such as {example}"
    )
    if settings.leaks == "error":
        raise IngestError(f"{settings.source}: {text}; metrics/ingest/leaks.csv lists them; ingest.leaks: warn goes on")
    return [text]


def count(made: Manifest) -> dict[str, object]:
    """Counts for metrics: files by status, reason, note and split, groups of near-duplicates, leaks."""
    rows = made.rows
    usable = rows.loc[(rows["status"] == "ok") & (rows["split"] != UNLABELLED), ["group", "label"]]
    sizes = usable.groupby("group")["label"].agg(["size", "nunique"])
    leaks = {"leaks": splits.count_leaks(made.leaks)} if len(made.leaks) else {}
    return leaks | {
        "files": len(rows),
        "status": rows["status"].value_counts().to_dict(),
        "reason": rows.loc[rows["reason"] != "", "reason"].value_counts().to_dict(),
        "note": rows.loc[rows["note"] != "", "note"].value_counts().to_dict(),
        "split": rows.loc[rows["status"] == "ok", "split"].value_counts().to_dict(),
        "near_duplicate_groups": int((sizes["size"] > 1).sum()),
        "near_duplicate_groups_across_classes": int((sizes["nunique"] > 1).sum()),
        **made.split_facts,
        "corrections": made.corrections,
    }


def class_counts(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per class and split with the number of usable `photos`, for a bar chart."""
    usable = rows[(rows["status"] == "ok") & (rows["split"] != UNLABELLED)]
    return usable.groupby(["label", "split"]).size().rename("photos").reset_index()
