"""Diagnostics for people to act on: weak models, label issues and outliers. Nothing is removed or changed."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from stages.audit import diagnostics, label_issues
from stages.core.errors import TableError
from stages.schemas import corrections, curves, flags, issues, split_data
from stages.schemas.flags import Flag
from stages.schemas.manifest import SPLITS
from stages.schemas.predictions import Predictions
from stages.schemas.split_data import SplitData

# People look at a list from its top: how many of so many are expected to be wrong.
_FIRST = (20, 50, 100)


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
        raise TableError(f"expected the photo {missing[0]} among the predictions, found none; run `dvc repro`")
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


class OutOfSample(NamedTuple):
    """Photos of the splits `names` with out-of-sample probabilities (N, C), all by one kind of network."""

    names: list[str]
    photos: SplitData
    probabilities: np.ndarray


def out_of_sample(predicted: PredictionSet, splits: dict[str, SplitData]) -> list[OutOfSample]:
    """The predictions of all photos, by what made them: out-of-fold probes on train, the ensemble on val and test.

    Where the ensemble has predicted train out of fold, train and val are one part, and test, by whole models, another.
    """
    train = splits["train"]
    if set(train.image_ids) <= set(predicted.ensemble.image_ids):
        parts = {("train", "val"): [predicted.ensemble], ("test",): [predicted.ensemble]}
    else:
        parts = {("train",): list(predicted.probes.values()), ("val", "test"): [predicted.ensemble]}
    made = []
    for names, by in parts.items():
        photos = split_data.join([splits[name] for name in names])
        probabilities = np.mean([select(one, photos) for one in by], axis=0)
        made.append(OutOfSample([name for name in names for _ in splits[name].image_ids], photos, probabilities))
    return made


def doubtful_labels(predicted: list[OutOfSample], classes: list[str]) -> pd.DataFrame:
    """A row per photo with the probability that its label is wrong, `score`, the highest first."""
    frames = [_doubtful_labels(part, np.array(classes, dtype=object)) for part in predicted]
    return pd.concat(frames).sort_values(["score", "image_id"], ascending=[False, True], ignore_index=True)


def _doubtful_labels(part: OutOfSample, classes: np.ndarray) -> pd.DataFrame:
    labels = part.photos.labels
    noise = label_issues.fit(labels, part.probabilities)
    other = part.probabilities.copy()
    other[np.arange(len(labels)), labels] = -1
    return pd.DataFrame(
        {
            "image_id": part.photos.image_ids,
            "path": part.photos.sources,
            "split": part.names,
            "label": classes[labels],
            "kind": "label_issue",
            "suggested_label": classes[other.argmax(axis=1)],
            "score": label_issues.probability_wrong(labels, part.probabilities, noise).round(6),
        }
    )


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


def without_decided(found: pd.DataFrame, decisions: pd.DataFrame) -> pd.DataFrame:
    """The rows of photos whose label nobody has confirmed or changed in data/corrections.csv."""
    decided = decisions.loc[decisions["kind"] == corrections.LABEL, "image_id"]
    return found[~found["image_id"].isin(decided)].reset_index(drop=True)


def expected_wrong(doubtful: pd.DataFrame, n_listed: int) -> dict[str, float]:
    """How many labels are expected to be wrong: among the first 20, 50 and 100, among those listed, among all."""
    total = {0: 0.0} | dict(enumerate(doubtful["score"].cumsum().round(1), 1))
    first = {f"first_{n}": total[n] for n in _FIRST if n <= len(doubtful)}
    return {**first, "listed": total[n_listed], "all": total[len(doubtful)]}


def summarise(weak: list[Flag], issue_table: pd.DataFrame, doubtful: pd.DataFrame) -> dict[str, Any]:
    """Return the content of metrics/audit/details.json: photos, counts of issues by kind, how many labels are expected
    to be wrong, the flags with figures.
    """
    counts = {kind: int((issue_table["kind"] == kind).sum()) for kind in issues.KINDS}
    by_model = flags.to_json(weak)
    n_photos, expected = len(doubtful), expected_wrong(doubtful, counts["label_issue"])
    causes = {"likely_causes": flags.LIKELY_CAUSES} if weak else {}
    found = {"photos": n_photos, **counts, "expected_wrong": expected}
    return found | {"flagged_models": len(by_model), "flags": by_model, **causes}
