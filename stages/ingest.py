"""Look at every file of the source once: is it a picture, which one, of what class, and what is it for?"""

import argparse
import sys
import unicodedata
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Annotated, NamedTuple

import pandas as pd

from stages.imaging import batches, duplicates, images
from stages.records import atomic, command, manifest, params, progress, splits, tables

# Characters that end a line somewhere, or are no text: class lists and tables could not be read back.
_UNPRINTABLE = "[\\x00-\\x1f\\x7f\\x85\\u2028\\u2029\\ud800-\\udfff]"


class IngestError(ValueError):
    """The source as a whole cannot be used."""


@dataclass(frozen=True)
class IngestParams:
    """`source` is a folder with one folder per class, or a CSV of `path,label` beside the photos it names.

    Photos whose perceptual hashes differ in at most `near_duplicate_bits` of 64 share a group. Either every
    class has `min_photos_per_class` usable photos, or none has and all photos train.
    """

    source: str
    seed: int
    val_share: params.Share
    test_share: params.Share
    near_duplicate_bits: Annotated[int, params.Range(0, 16)]
    min_photos_per_class: params.Count

    def __post_init__(self) -> None:
        """Refuse shares that leave nothing to train on."""
        if self.val_share + self.test_share >= 1:
            raise params.ParamError(
                "ingest.val_share, ingest.test_share: expected a sum below 1, "
                f"found {self.val_share} + {self.test_share}"
            )


class Look(NamedTuple):
    """What one file turned out to be; `reason` is empty for a picture that can be used."""

    image_id: str
    reason: str
    width: int
    height: int
    phash: str


def list_files(source: Path) -> pd.DataFrame:
    """The columns `path`, `label`, `reason` of every input file, sorted by path. Raises IngestError naming the source.

    In a folder, the first folder of a path is the label; a file beside the class folders has none. Names that
    begin with a dot are passed over. `reason` is empty where the file is to be looked at, else `bad_name`, when the
    name cannot stand in a list and is shown escaped, or `outside`, when a CSV's path leaves the CSV's folder.
    """
    if source.suffix == ".csv":
        frame = tables.read(source, {"path": "str", "label": "str"})
        tables.require(source, ~frame["path"].duplicated(), frame["path"], "each path once")
    elif source.is_dir():
        paths = [p.relative_to(source) for p in source.rglob("*") if p.is_symlink() or not p.is_dir()]
        visible = [p for p in paths if not any(part.startswith(".") for part in p.parts)]
        rows = [(p.as_posix(), p.parts[0] if len(p.parts) > 1 else "") for p in visible]
        frame = pd.DataFrame(rows, columns=["path", "label"])
    else:
        raise IngestError(f"{source}: expected a folder of class folders or a CSV of path,label, found neither")
    if frame.empty:
        raise IngestError(f"{source}: expected photos in one folder per class, found no file; set ingest.source")
    return screened(frame).sort_values("path", ignore_index=True)


def screened(frame: pd.DataFrame) -> pd.DataFrame:
    """Add `reason` to the columns `path` and `label`, and escape in both what no list could hold."""
    parts = frame["path"].map(PurePosixPath)
    leaves = parts.map(lambda path: path.is_absolute() or ".." in path.parts)
    is_bad = frame["path"].str.contains(_UNPRINTABLE) | frame["label"].str.contains(_UNPRINTABLE)
    reason = pd.Series("", frame.index).mask(leaves, "outside").mask(is_bad, "bad_name")
    path = frame["path"].str.replace(_UNPRINTABLE, lambda found: ascii(found.group())[1:-1], regex=True)
    label = frame["label"].mask(frame["label"].str.contains(_UNPRINTABLE), "")
    return pd.DataFrame({"path": path, "label": label, "reason": reason})


def alike(labels: "pd.Series[str]") -> list[list[str]]:
    """Labels that differ in case, Unicode form or spaces alone: perhaps one class under several names."""
    names = pd.Series(sorted(set(labels) - {""}), dtype=str)
    plain = names.map(lambda name: "".join(unicodedata.normalize("NFKC", name).casefold().split()))
    return [group.tolist() for _, group in names.groupby(plain) if len(group) > 1]


def look_unless(root: Path, row: tuple[str, str]) -> Look:
    """Look at the file of (path, reason) below `root`, unless there is a reason against it."""
    path, reason = row
    return Look("", reason, 0, 0, "") if reason else look(root, path)


def look(root: Path, path: str) -> Look:
    """Read and decode the file at `root / path` once."""
    try:
        content = images.load(root / path)
    except images.ImageError as error:
        return Look("", error.reason, 0, 0, "")
    name = images.image_id(content)
    try:
        photo = images.decode_photo(content, images.at_least(duplicates.ENOUGH_SIDE))
    except images.ImageError as error:
        return Look(name, error.reason, 0, 0, "")
    return Look(name, "", *photo.size_wh, duplicates.perceptual_hash(photo.picture))


def judge(frame: pd.DataFrame) -> pd.DataFrame:
    """Add `status` and complete `reason`: unreadable, without a label, or bytes that came before.

    Of files with equal bytes the first path with a label is kept, unless their labels differ: then none can be
    trusted.
    """
    judged = frame.sort_values("path")
    readable = judged["reason"] == ""
    labelled = judged[readable & (judged["label"] != "")]
    labels = labelled.groupby("image_id")["label"].transform("nunique")
    judged.loc[readable, "reason"] = "no_label"
    judged.loc[labelled.index, "reason"] = ""
    judged.loc[labelled.index[labelled["image_id"].duplicated()], "reason"] = "duplicate"
    judged.loc[labelled.index[labels > 1], "reason"] = "conflicting_labels"
    judged["status"] = "rejected"
    judged.loc[judged["reason"] == "", "status"] = "ok"
    judged.loc[~readable, "status"] = "failed"
    return judged


def check_classes(usable: pd.DataFrame, labels: pd.Series, settings: IngestParams) -> bool:
    """Whether there are photos enough to hold some back. Raises IngestError when that holds for some classes only."""
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


def complete(looked: pd.DataFrame, settings: IngestParams) -> pd.DataFrame:
    """The manifest: groups and splits for the usable photos, rows sorted by image id and path."""
    rows = judge(looked).sort_values(["image_id", "path"], ignore_index=True)
    usable = rows[rows["status"] == "ok"].copy()
    numbers = duplicates.groups(usable["phash"].tolist(), settings.near_duplicate_bits)
    usable["group"] = usable.groupby(numbers)["image_id"].transform("min")
    can_hold_back = check_classes(usable, rows["label"], settings)
    shares = (settings.val_share, settings.test_share) if can_hold_back else (0.0, 0.0)
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


def main() -> None:
    """Write the manifest, the class list and the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("params", "manifest", "classes", "metrics", "class-counts"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    settings = params.read(arguments.params, "ingest", IngestParams)
    files = list_files(Path(settings.source))
    look_below = partial(look_unless, manifest.photo_root(Path(settings.source)))
    seen = batches.mapped(look_below, zip(files["path"], files["reason"]), ahead=32)
    looks = pd.DataFrame([found for _, found in progress.track(seen, len(files), "photo", "ingest")])
    rows = complete(files[["path", "label"]].join(looks), settings)
    for names in alike(rows["label"]):
        print(f"ingest: {names} are classes of their own; if they are one, give them one name", file=sys.stderr)
    usable = rows[rows["status"] == "ok"]
    tables.write(arguments.manifest, rows)
    atomic.write_text(arguments.classes, "".join(f"{name}\n" for name in sorted(usable["label"].unique())))
    atomic.write_json(arguments.metrics, count(rows))
    tables.write(arguments.class_counts, class_counts(rows))
    progress.summary("ingest", files=len(rows), usable=len(usable), unusable=len(rows) - len(usable))


if __name__ == "__main__":
    command.run(main)
