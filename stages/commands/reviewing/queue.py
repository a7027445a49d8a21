"""Which photos people look at, in which order, and why: from the tables of a run."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from stages.report import reasons
from stages.schemas import crops
from stages.schemas.manifest import SPLITS, UNLABELLED
from stages.schemas.predictions import Predictions

CORRECTED = "corrected"
# The order of the queue: what changes a label first.
CODES = (
    *("label_issue", "outlier", "different_labels", "conflicting_labels", "wrong_prediction"),
    *("masks_disagree", "mask_too_small", "mask_too_large"),
    *crops.REJECTION_REASONS,
    "no_label",
    CORRECTED,
)
ORDERS = ("doubt", "class", "path")
STATES = ("open", "decided", "skipped", "all")
_REASONS = ["image_id", "code", "score", "tie", "text"]
_PHOTO = ["path", "label", "split", "group", "width", "height"]
# The cells of a column: one value for all, or one each.
Cells = str | float | list[str] | np.ndarray
# Reasons of photos that are not used until somebody decides on a label.
_WITHOUT_LABEL = ("conflicting_labels", "no_label")
# Files that a sentence names.
_MAX_NAMED = 3


class ReviewTables(NamedTuple):
    """The tables of a run. Those that it did not make are None; `corrected` are the ids with decisions."""

    photos: pd.DataFrame  # data/manifest.csv
    boxes: pd.DataFrame | None
    masks: pd.DataFrame | None
    issues: pd.DataFrame | None
    predicted: Predictions | None  # of the ensemble
    corrected: list[str]


class QueueFilter(NamedTuple):
    """What of the queue is shown: a reason's code, a label, a split, each empty for all; a state and an order."""

    reason: str = ""
    label: str = ""
    split: str = ""
    state: str = "all"
    order: str = "doubt"


@dataclass(frozen=True)
class ReviewQueue:
    """`photos`, the most doubtful first, a row each, indexed by `image_id`: `path`, `label`, `split`, `group`, `width`,
    `height`, `suggested_label` (may be empty) and `codes`, joined by ";".

    `reasons` has a row for each photo and reason, in the order of CODES: `image_id`, `code`, `score`, `text`. Counts:
    `n_unreadable` files, `n_unknown` rows of tables about photos that the manifest does not have.
    """

    photos: pd.DataFrame
    reasons: pd.DataFrame
    n_unreadable: int
    n_unknown: int

    def select(self, chosen: QueueFilter, decided: set[str], skipped: set[str]) -> tuple[list[str], list[str]]:
        """The ids that a filter shows, in its order; and those of all states, of which progress is counted."""
        photos = self.photos
        is_chosen = np.ones(len(photos), dtype=bool)
        if chosen.reason:
            is_chosen &= photos.index.isin(self.reasons.loc[self.reasons["code"] == chosen.reason, "image_id"])
        for name in ("label", "split"):
            if getattr(chosen, name):
                is_chosen &= (photos[name] == getattr(chosen, name)).to_numpy()
        found = _ordered(photos[is_chosen], chosen.order).index
        is_decided, is_skipped = found.isin(decided), found.isin(skipped - decided)
        shown = {
            "open": ~is_decided & ~is_skipped,
            "decided": is_decided,
            "skipped": is_skipped,
            "all": np.ones(len(found), dtype=bool),
        }
        return found[shown[chosen.state]].tolist(), found.tolist()

    def counts(self, column: str) -> dict[str, int]:
        """How many photos have each `label` or `split` (sorted), or each reason, for `code` (in the order of CODES)."""
        table = self.reasons if column == "code" else self.photos
        counts = table[column].value_counts()
        names = CODES if column == "code" else sorted(counts.index)
        return {name: int(counts[name]) for name in names if name and name in counts.index}


def build(tables: ReviewTables) -> ReviewQueue:
    """The queue. A photo with several reasons stands once, at the place of its first one; equal ones by image id."""
    photos = _labelled_photos(tables.photos)
    usable = photos[photos["status"] == "ok"]
    parts = [_issues(tables.issues), _different_labels(usable), _wrong_predictions(usable, tables.predicted)]
    parts += [_unused_masks(tables.masks), _without_car(tables.boxes)]
    listed = pd.concat(parts, ignore_index=True)
    is_known = listed["image_id"].isin(usable.index)
    is_unlabelled = listed["image_id"].isin(tables.photos.loc[tables.photos["split"] == UNLABELLED, "image_id"])
    open_labels = _without_label(photos, tables.photos)
    corrected = [image_id for image_id in tables.corrected if image_id in photos.index]
    found = _sorted(pd.concat([listed[is_known], open_labels, _corrected(corrected)], ignore_index=True))
    return ReviewQueue(
        _photos(found, photos, _suggested(tables.issues)),
        found[["image_id", "code", "score", "text"]],
        int((tables.photos["status"] == "failed").sum()),
        int((~is_known & ~is_unlabelled & listed["code"].isin(["label_issue", "outlier"])).sum()),
    )


def _labelled_photos(manifest: pd.DataFrame) -> pd.DataFrame:
    """The rows of readable files, one per id: the usable one where a file has copies."""
    readable = manifest[(manifest["split"] != UNLABELLED) & (manifest["image_id"] != "")]
    is_open = readable["reason"].isin(_WITHOUT_LABEL)
    labelled = readable.assign(label=readable["label"].mask(is_open, ""))
    ordered = labelled.iloc[np.argsort(labelled["status"].to_numpy() != "ok", kind="stable")]
    return ordered.drop_duplicates("image_id").set_index("image_id")


def _photos(found: pd.DataFrame, photos: pd.DataFrame, suggested: dict[str, str]) -> pd.DataFrame:
    codes: dict[str, str] = {}
    for image_id, code in zip(found["image_id"], found["code"]):
        codes[image_id] = f"{codes[image_id]};{code}" if image_id in codes else code
    # Arrow's texts cannot be compared with every text that a browser may send.
    rows = photos.loc[list(codes), _PHOTO].astype({"label": object, "split": object})
    names = [suggested.get(image_id, "") for image_id in codes]
    return rows.assign(suggested_label=np.array(names, dtype=object), codes=list(codes.values()))


def _sorted(found: pd.DataFrame) -> pd.DataFrame:
    ranks = found["code"].map({code: rank for rank, code in enumerate(CODES)})
    order = np.lexsort((found["image_id"], found["tie"], -found["score"].to_numpy(dtype=float), ranks))
    return found.iloc[order].drop_duplicates(["image_id", "code"], ignore_index=True)


def _ordered(photos: pd.DataFrame, order: str) -> pd.DataFrame:
    columns = {"class": ["label", "path"], "path": ["path"]}.get(order)
    return photos if columns is None else photos.sort_values(columns, kind="stable")


def _rows(image_ids: "pd.Series[str]", code: Cells, score: Cells, text: Cells, tie: Cells = "") -> pd.DataFrame:
    """Rows of reasons; `code`, `score`, `text` and `tie`, by which equal scores are ordered, are values or columns."""
    frame = pd.DataFrame({"image_id": np.asarray(image_ids, dtype=object)})
    return frame.assign(code=code, score=score, tie=tie, text=text)[_REASONS]


def _suggested(issues: pd.DataFrame | None) -> dict[str, str]:
    """The suggested label by image id."""
    named = _none().assign(suggested_label="") if issues is None else issues[issues["suggested_label"] != ""]
    return dict(zip(named["image_id"], named["suggested_label"]))


def _none() -> pd.DataFrame:
    return _rows(pd.Series([], dtype=object), "", 0.0, "")


def _issues(issues: pd.DataFrame | None) -> pd.DataFrame:
    if issues is None or issues.empty:
        return _none()
    texts = [
        f"Out-of-sample predictions contradict the label: it is wrong with probability {100 * score:.1f} %."
        if kind == "label_issue"
        else f"{score:.1f} times as far from the photos of train as the outlier threshold."
        for kind, score in zip(issues["kind"], issues["score"])
    ]
    return _rows(issues["image_id"], issues["kind"].to_numpy(), issues["score"].to_numpy(), texts)


def _different_labels(usable: pd.DataFrame) -> pd.DataFrame:
    n_labels = usable.groupby("group")["label"].transform("nunique")
    mixed = usable[(n_labels > 1).to_numpy()]
    # Lists: thousands of tables of two rows would take minutes.
    members: dict[str, list[tuple[str, str]]] = {}
    for group, path, label in zip(mixed["group"], mixed["path"], mixed["label"]):
        members.setdefault(group, []).append((path, label))
    texts = [_other_labels(members[group], label) for group, label in zip(mixed["group"], mixed["label"])]
    return _rows(mixed.index.to_series(), "different_labels", 0.0, texts, mixed["group"].to_numpy())


def _other_labels(members: list[tuple[str, str]], label: str) -> str:
    named = [f"{path} is {other}" for path, other in members if other != label]
    return f"Near-duplicates have other labels: {'; '.join(named[:_MAX_NAMED])}."


def _without_label(photos: pd.DataFrame, manifest: pd.DataFrame) -> pd.DataFrame:
    """Readable photos whose files have several labels, or none."""
    found = photos[photos["reason"].isin(_WITHOUT_LABEL)]
    files = manifest[manifest["image_id"].isin(found.index) & (manifest["label"] != "")]
    named: dict[str, list[str]] = {}
    for image_id, path, label in zip(files["image_id"], files["path"], files["label"]):
        named.setdefault(image_id, []).append(f"{path} is {label}")
    texts = [
        f"{reasons.explain(code)} Here: {'; '.join(named[image_id][:_MAX_NAMED])}."
        if image_id in named
        else reasons.explain(code)
        for image_id, code in zip(found.index, found["reason"])
    ]
    return _rows(found.index.to_series(), found["reason"].to_numpy(), 0.0, texts)


def _wrong_predictions(usable: pd.DataFrame, predicted: Predictions | None) -> pd.DataFrame:
    if predicted is None or not predicted.image_ids:
        return _none()
    classes = np.array(predicted.classes, dtype=object)
    best = predicted.probabilities.argmax(axis=1)
    frame = pd.DataFrame({"image_id": predicted.image_ids, "predicted": classes[best]})
    frame["probability"] = predicted.probabilities[np.arange(len(best)), best]
    frame = frame.join(usable[["label", "split"]], on="image_id", how="inner")
    wrong = frame[frame["split"].isin(SPLITS[1:]) & (frame["predicted"] != frame["label"])]
    texts = [
        f"The ensemble predicts {name} with probability {100 * probability:.1f} %."
        for name, probability in zip(wrong["predicted"], wrong["probability"])
    ]
    return _rows(wrong["image_id"], "wrong_prediction", wrong["probability"].to_numpy(), texts)


def _unused_masks(masks: pd.DataFrame | None) -> pd.DataFrame:
    if masks is None:
        return _none()
    unused = masks[masks["mask_reason"].isin([code for code in CODES if code.startswith("mask")])]
    code, coverage, agreement = (unused[name].to_numpy() for name in ("mask_reason", "coverage", "agreement"))
    # The farther beyond its limit, the earlier.
    score = np.select([code == "masks_disagree", code == "mask_too_small"], [1 - agreement, 1 - coverage], coverage)
    figures = np.where(code == "masks_disagree", agreement, coverage)
    texts = [f"{reasons.explain(name)} Here: {100 * value:.1f} %." for name, value in zip(code, figures)]
    return _rows(unused["image_id"], code, score, texts)


def _without_car(boxes: pd.DataFrame | None) -> pd.DataFrame:
    if boxes is None:
        return _none()
    refused = boxes[boxes["reason"].isin(crops.REJECTION_REASONS)]
    texts = [reasons.explain(code) for code in refused["reason"]]
    return _rows(refused["image_id"], refused["reason"].to_numpy(), 0.0, texts)


def _corrected(image_ids: list[str]) -> pd.DataFrame:
    return _rows(pd.Series(image_ids, dtype=object), CORRECTED, 0.0, "Somebody has decided about this photo before.")
