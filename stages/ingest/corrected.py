"""Apply decisions of people to the manifest: labels that are right or others, photos that are not to be used."""

import pandas as pd

from stages.ingest.errors import IngestError
from stages.schemas import corrections, manifest
from stages.schemas.manifest import UNLABELLED

# The reason of a photo by the decision not to use it.
_REJECTED = {corrections.DROP: manifest.DROPPED_BY_REVIEW, corrections.NOT_A_CAR: manifest.NOT_A_CAR}


def resolve(rows: pd.DataFrame, decisions: pd.DataFrame) -> pd.DataFrame:
    """Rows in which photos without a label, or with several, have the decided one.

    Other labels stay until the splits are made: photos keep their splits when the label of one changes. Raises
    IngestError where a photo of the source has a decided class that the source does not have.
    """
    can_be_used = (rows["reason"] == "") & (rows["split"] != UNLABELLED)
    labels = decided(decisions, corrections.LABEL)
    is_decided = can_be_used & rows["image_id"].isin(labels)
    present = rows[is_decided]
    _require_known({photo: labels[photo] for photo in present["image_id"]}, set(rows["label"][can_be_used].unique()))
    given = present[present["label"] != ""].groupby("image_id")["label"].nunique()
    is_open = present.index[present["image_id"].map(given) != 1]
    resolved = rows["label"].copy()
    resolved[is_open] = present["image_id"][is_open].map(labels)
    return rows.assign(label=resolved)


def apply(rows: pd.DataFrame, decisions: pd.DataFrame) -> pd.DataFrame:
    """The rows of the manifest with the decided labels; photos that people took out are rejected, with the reason."""
    corrected = rows.copy(deep=False)
    is_usable = _is_usable(rows)
    labels = decided(decisions, corrections.LABEL)
    is_labelled = is_usable & rows["image_id"].isin(labels)
    corrected.loc[is_labelled, "label"] = rows.loc[is_labelled, "image_id"].map(labels)
    for kind, reason in _REJECTED.items():
        is_out = is_usable & rows["image_id"].isin(decided(decisions, kind))
        corrected.loc[is_out, ["status", "reason", "group", "split"]] = ["rejected", reason, "", ""]
    return corrected


def count(source: pd.DataFrame, decisions: pd.DataFrame) -> dict[str, int]:
    """Counts of decisions by kind, given the rows before `apply`: of labels those `confirmed` and `changed`.

    `without_photo` are on photos that the source does not have, or that are not used for another reason.
    """
    is_decided = _is_usable(source) & source["image_id"].isin(decisions["image_id"])
    labels = source[is_decided].set_index("image_id")["label"]
    is_matched = decisions["image_id"].isin(labels.index)
    matched = decisions[is_matched]
    is_label = matched["kind"] == corrections.LABEL
    is_same = matched["value"] == matched["image_id"].map(labels)
    kinds = matched.loc[~is_label, "kind"].value_counts()
    return {
        "labels_changed": int((is_label & ~is_same).sum()),
        "labels_confirmed": int((is_label & is_same).sum()),
        **{str(kind): int(kinds.get(kind, 0)) for kind in corrections.TOPICS if kind != corrections.LABEL},
        "without_photo": int((~is_matched).sum()),
    }


def decided(decisions: pd.DataFrame, kind: str) -> dict[str, str]:
    """The values of the decisions of one kind, by image id."""
    rows = decisions[decisions["kind"] == kind]
    return dict(zip(rows["image_id"], rows["value"]))


def _is_usable(rows: pd.DataFrame) -> "pd.Series[bool]":
    return (rows["status"] == "ok") & (rows["split"] != UNLABELLED)


def _require_known(labels: dict[str, str], known: set[str]) -> None:
    for image_id, label in labels.items():
        if label not in known:
            names = ", ".join(sorted(known - {""})[:3])
            raise IngestError(
                f"data/corrections.csv: photo {image_id}: expected a class of ingest.source, such as {names}, found "
                f"{label!r}; correct the line"
            )
