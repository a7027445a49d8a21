"""Diagnostics for people to act on: weak models, label issues and outliers. Nothing is removed or changed."""

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
    """Probability tables: `models` by name, of val and test; `probes` by name, of all photos; the `ensemble`."""

    models: dict[str, Predictions]
    probes: dict[str, Predictions]
    ensemble: Predictions


def select(table: Predictions, split: SplitData) -> np.ndarray:
    """The probabilities (N, C) of the photos of a split, in their order. Raises TableError if one is missing."""
    place = {image_id: row for row, image_id in enumerate(table.image_ids)}
    missing = [image_id for image_id in split.image_ids if image_id not in place]
    if missing:
        raise tables.TableError(f"expected the photo {missing[0]} among the predictions, found none; run `dvc repro`")
    return table.probabilities[[place[image_id] for image_id in split.image_ids]]


def weak_models(predicted: PredictionSet, val: SplitData) -> list[Flag]:
    """The flags of weak models, by val alone."""
    correct, probe_correct = (
        {name: select(table, val).argmax(axis=1) == val.labels for name, table in by_model.items()}
        for by_model in (predicted.models, predicted.probes)
    )
    return diagnostics.weak_models(correct, probe_correct, val.labels, val.groups)


def losses(folder: Path, names: list[str]) -> dict[str, list[float]]:
    """The log loss on val by model from epoch 0 on, from the curves in metrics/train, the `folder`.

    Models without a curve, or without its epoch 0, are left out.
    """
    by_model = {name: curves.read(folder / name).get("val/log_loss") for name in names}
    complete = {name: table for name, table in by_model.items() if table is not None and table["step"].eq(0).any()}
    return {name: table.sort_values("step").iloc[:, 1].tolist() for name, table in complete.items()}


def out_of_sample(predicted: PredictionSet, splits: dict[str, SplitData]) -> dict[str, np.ndarray]:
    """Out-of-sample probabilities (N, C) by split: the ensemble's, where it has answered train out of fold, too.

    Else those of train are the mean of the out-of-fold probes.
    """
    by_split = {name: select(predicted.ensemble, splits[name]) for name in ("val", "test")}
    train = splits["train"]
    if set(train.image_ids) <= set(predicted.ensemble.image_ids):
        return {"train": select(predicted.ensemble, train), **by_split}
    return {"train": np.mean([select(table, train) for table in predicted.probes.values()], axis=0), **by_split}


def label_issue_table(
    splits: dict[str, SplitData], probabilities: dict[str, np.ndarray], classes: list[str], rule: AuditSettings
) -> pd.DataFrame:
    """A row per label issue, the least probable label first; train is analysed separately from val and test."""
    parts = [("train",), ("val", "test")]
    frames = [_label_issue_table([(splits[n], probabilities[n], n) for n in names], classes, rule) for names in parts]
    return pd.concat(frames).sort_values(["score", "image_id"])


def _label_issue_table(
    parts: list[tuple[SplitData, np.ndarray, str]], classes: list[str], rule: AuditSettings
) -> pd.DataFrame:
    labels = np.concatenate([split.labels for split, _, _ in parts])
    probabilities = np.concatenate([rows for _, rows, _ in parts])
    names, numbers = np.array(classes, dtype=object), np.arange(len(labels))
    frame = pd.DataFrame(
        {
            "image_id": [image_id for split, _, _ in parts for image_id in split.image_ids],
            "path": [path for split, _, _ in parts for path in split.sources],
            "split": [name for split, _, name in parts for _ in split.image_ids],
            "label": names[labels],
            "kind": "label_issue",
            "suggested_label": names[probabilities.argmax(axis=1)],
            "score": probabilities[numbers, labels].round(6),
        }
    )
    return frame[label_issues.find_label_issues(labels, probabilities, rule.max_probability)]


def outlier_table(splits: dict[str, SplitData], distances: list[pd.DataFrame], classes: list[str]) -> pd.DataFrame:
    """A row per photo that is beyond the outlier threshold of every model, the farthest first.

    The score is the least ratio of distance and threshold over the models.
    """
    indexed = [frame.set_index("image_id") for frame in distances]
    ratios = pd.DataFrame({n: frame["distance"] / frame["outlier_threshold"] for n, frame in enumerate(indexed)})
    least = ratios.replace(np.inf, np.nan).min(axis=1)
    frames = []
    for name in SPLITS:
        split = splits[name]
        score = least.reindex(split.image_ids).to_numpy()
        frame = pd.DataFrame({"image_id": split.image_ids, "path": split.sources, "split": name, "score": score})
        frame["label"] = np.array(classes, dtype=object)[split.labels]
        frames.append(frame[score > 1])
    outliers = pd.concat(frames).assign(kind="outlier", suggested_label="")
    return outliers.sort_values(["score", "image_id"], ascending=[False, True])


def summarise(weak: list[Flag], issue_table: pd.DataFrame, splits: dict[str, SplitData]) -> dict[str, object]:
    """Return the content of metrics/audit/details.json: photos, counts of issues by kind, the flags with figures."""
    counts = {kind: int((issue_table["kind"] == kind).sum()) for kind in issues.KINDS}
    by_model = flags.to_json(weak)
    n_photos = sum(len(split.labels) for split in splits.values())
    causes = {"likely_causes": flags.LIKELY_CAUSES} if weak else {}
    return {"photos": n_photos, **counts, "flagged_models": len(by_model), "flags": by_model, **causes}
