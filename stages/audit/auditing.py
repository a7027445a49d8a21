"""Look for faults: models too weak to be sound, labels that out-of-sample answers contradict, photos unlike all others.

Nothing is removed or changed by it; people look and decide.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from stages.audit import diagnostics, label_issues
from stages.audit.settings import AuditSettings
from stages.core import tables
from stages.schemas import curves, flags, issues
from stages.schemas.flags import Flag
from stages.schemas.manifest import SPLITS
from stages.schemas.predictions import Predictions
from stages.schemas.split_data import SplitData


class PredictionSet(NamedTuple):
    """Probability tables: `models` and `probes` by name, of val and test and of all photos; the blend of the models."""

    models: dict[str, Predictions]
    probes: dict[str, Predictions]
    blended: Predictions


def rows_of(found: Predictions, chosen: SplitData) -> np.ndarray:
    """The probabilities (N, C) of the photos chosen, in their order. Raises TableError where one is missing."""
    place = {image_id: row for row, image_id in enumerate(found.image_ids)}
    missing = [image_id for image_id in chosen.image_ids if image_id not in place]
    if missing:
        raise tables.TableError(f"expected the photo {missing[0]} among the predictions, found none; run `dvc repro`")
    return found.probabilities[[place[image_id] for image_id in chosen.image_ids]]


def weak_models(answers: PredictionSet, val: SplitData) -> list[Flag]:
    """The models to suspect, judged by val alone."""
    right, right_probes = (
        {name: rows_of(found, val).argmax(axis=1) == val.labels for name, found in named.items()}
        for named in (answers.models, answers.probes)
    )
    return diagnostics.weak_models(right, right_probes, val.labels, val.groups)


def losses(folder: Path, names: list[str]) -> dict[str, list[float]]:
    """By model the log loss on val from epoch 0 on, as far as it was logged in metrics/train, the `folder`."""
    found = {name: curves.read(folder / name).get("val/log_loss") for name in names}
    begun = {name: table for name, table in found.items() if table is not None and table["step"].eq(0).any()}
    return {name: table.sort_values("step").iloc[:, 1].tolist() for name, table in begun.items()}


def out_of_sample(answers: PredictionSet, splits: dict[str, SplitData]) -> dict[str, np.ndarray]:
    """By split, probabilities from nothing that learned the photo: probes out of fold on train, else the ensemble."""
    of_train = np.mean([rows_of(found, splits["train"]) for found in answers.probes.values()], axis=0)
    return {"train": of_train, **{name: rows_of(answers.blended, splits[name]) for name in ("val", "test")}}


def label_issue_table(
    splits: dict[str, SplitData], found: dict[str, np.ndarray], classes: list[str], rule: AuditSettings
) -> pd.DataFrame:
    """A row per photo whose label is likely wrong, the likeliest first; train is judged apart from val and test."""
    judged = [("train",), ("val", "test")]
    frames = [_label_issue_table([(splits[n], found[n], n) for n in names], classes, rule) for names in judged]
    return pd.concat(frames).sort_values(["score", "image_id"])


def _label_issue_table(
    parts: list[tuple[SplitData, np.ndarray, str]], classes: list[str], rule: AuditSettings
) -> pd.DataFrame:
    labels = np.concatenate([chosen.labels for chosen, _, _ in parts])
    probabilities = np.concatenate([rows_of for _, rows_of, _ in parts])
    names, everyone = np.array(classes, dtype=object), np.arange(len(labels))
    frame = pd.DataFrame(
        {
            "image_id": [image_id for chosen, _, _ in parts for image_id in chosen.image_ids],
            "path": [path for chosen, _, _ in parts for path in chosen.sources],
            "split": [name for chosen, _, name in parts for _ in chosen.image_ids],
            "label": names[labels],
            "kind": "label_error",
            "suggested": names[probabilities.argmax(axis=1)],
            "score": probabilities[everyone, labels].round(6),
        }
    )
    return frame[label_issues.find_label_issues(labels, probabilities, rule.max_probability)]


def outlier_table(splits: dict[str, SplitData], distances: list[pd.DataFrame], classes: list[str]) -> pd.DataFrame:
    """A row per photo that lies beyond the fence of every network, the farthest first."""
    indexed = [frame.set_index("image_id") for frame in distances]
    ratios = pd.DataFrame({number: frame["distance"] / frame["fence"] for number, frame in enumerate(indexed)})
    least = ratios.replace(np.inf, np.nan).min(axis=1)
    frames = []
    for name in SPLITS:
        chosen = splits[name]
        score = least.reindex(chosen.image_ids).to_numpy()
        frame = pd.DataFrame({"image_id": chosen.image_ids, "path": chosen.sources, "split": name, "score": score})
        frame["label"] = np.array(classes, dtype=object)[chosen.labels]
        frames.append(frame[score > 1])
    found = pd.concat(frames).assign(kind="outlier", suggested="")
    return found.sort_values(["score", "image_id"], ascending=[False, True])


def record(weak: list[Flag], doubtful: pd.DataFrame, splits: dict[str, SplitData]) -> dict[str, object]:
    """Return what `metrics/audit.json` holds: the flags with their figures, and counts of suspects by kind."""
    counts = {kind: int((doubtful["kind"] == kind).sum()) for kind in issues.KINDS}
    by_model = flags.as_metrics(weak)
    n_photos = sum(len(chosen.labels) for chosen in splits.values())
    look_for = {"usual_suspects": flags.LIKELY_CAUSES} if weak else {}
    return {"photos": n_photos, **counts, "flagged_models": len(by_model), "flags": by_model, **look_for}
