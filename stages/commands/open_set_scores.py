"""Figures of the open-set evaluation: every score, for every class that was left out."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from stages.commands.left_out_classes import LabelledPhotos
from stages.novelty import detector
from stages.novelty.detector import MemberOutputs
from stages.novelty.scores import SCORES
from stages.novelty.settings import NoveltySettings
from stages.scoring.open_set import separation

# The mean of the scores of the settings.
_CONFIGURED = "novelty.scores"
# Where the settings mark nothing.
_FALSE_ALARMS = 0.05
_FIGURES = ("auroc", "fpr95", "recall", "false_alarms")


def score(
    outputs: MemberOutputs, data: LabelledPhotos, left_out: Sequence[int], rule: NoveltySettings
) -> list[dict[str, Any]]:
    """A row for each score, and the mean that `rule` names, for each left-out class and split of known photos.

    The splits are `val` and `test`.

    `recall` and `false_alarms` are the shares of unknown and of known photos beyond the threshold that val gives for
    `novelty.max_false_alarms`, 0.05 where that is null.
    """
    known = [number for number in range(len(data.classes)) if number not in left_out]
    train, val = data.rows("train", known), data.rows("val", known)
    labels = np.searchsorted(known, data.photos.labels[train])
    groups = np.array(data.photos.groups, dtype=object)[val].tolist()
    rows = []
    rules = {_CONFIGURED: rule} | {name: rule.replace(scores=(name,)) for name in SCORES}
    for name, used in rules.items():
        fitted = detector.fit(_select(outputs, train), labels, _select(outputs, val), used)
        novelty = fitted(outputs)
        threshold = detector.conformal_threshold(novelty[val], groups, rule.max_false_alarms or _FALSE_ALARMS)
        for number in left_out:
            unknown = novelty[data.photos.labels == number]
            for split in ("val", "test"):
                known_novelty = novelty[data.rows(split, known)]
                counts = {"n_known": len(known_novelty), "n_unknown": len(unknown)}
                if len(known_novelty) and len(unknown):
                    marked = {
                        "recall": float((unknown > threshold).mean()),
                        "false_alarms": float((known_novelty > threshold).mean()),
                    }
                    figures = separation(known_novelty, unknown)._asdict() | marked
                    rows.append({"score": name, "left_out": data.classes[number], "split": split, **counts, **figures})
    return rows


def _select(outputs: MemberOutputs, rows: np.ndarray) -> MemberOutputs:
    return {name: values.select(rows) for name, values in outputs.items()}


def table(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The rows, with their columns also where there is none."""
    columns = ["score", "left_out", "split", "n_known", "n_unknown", *_FIGURES]
    return pd.DataFrame(rows, columns=columns)


def summary(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """By score the means over the left-out classes: `val_auroc`, `test_auroc` and so on, the best on val first."""
    found: dict[str, dict[str, float]] = {}
    for (name, split), part in table.groupby(["score", "split"], sort=False):
        means = {f"{split}_{figure}": float(part[figure].mean()) for figure in _FIGURES}
        found[str(name)] = found.get(str(name), {}) | means
    return dict(sorted(found.items(), key=lambda item: -item[1].get("val_auroc", 0.0)))


def text(summary: dict[str, dict[str, float]]) -> str:
    """The summary for people, less than 100 characters wide."""
    shown = pd.DataFrame.from_dict(summary, orient="index").round(3)
    pairs = [tuple(name.split("_", 1)) for name in shown.columns]
    shown.columns = pd.MultiIndex.from_tuples(pairs, names=["split", "figure"])
    return shown.to_string()
