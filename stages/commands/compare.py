"""Compare two experiments photo by photo: who is right where, and how far apart are they, with an interval.

Both must have been run on the same photos; `dvc metrics diff` shows the figures of each, but not whether a
difference of theirs could be chance.
"""

import argparse
import io
from dataclasses import dataclass

import dvc.api
import numpy as np
import pandas as pd

from stages.core import command
from stages.scoring import paired

WORKSPACE = "workspace"
# Keeps the logarithm finite for a class that a model holds impossible.
_FLOOR = 1e-12


@dataclass(frozen=True)
class Difference:
    """`gain` is accuracy of b minus accuracy of a, with a 95 % interval; `only_a`, `only_b` count photos."""

    n: int
    accuracy_a: float
    accuracy_b: float
    gain: float
    low: float
    high: float
    only_a: int
    only_b: int


def difference(right_a: np.ndarray, right_b: np.ndarray, groups: np.ndarray, seed: int = 0) -> Difference:
    """Compare two classifiers on the same photos, `(N,)` bool each: whether they are right.

    The interval is that of `paired.gap` over groups `(N,)` of near-duplicates.
    """
    gains = right_b.astype(int) - right_a.astype(int)
    found = paired.paired_bootstrap(gains, groups, seed)
    only_a, only_b = int((gains < 0).sum()), int((gains > 0).sum())
    return Difference(len(gains), float(right_a.mean()), float(right_b.mean()), *found, only_a, only_b)


def read_table(files: dvc.api.DVCFileSystem, path: str) -> pd.DataFrame:
    """Read a table as it is in one state of the project."""
    text = files.read_text(path, encoding="utf-8")
    return pd.read_csv(io.StringIO(text), dtype={"image_id": str, "label": str, "group": str}, keep_default_na=False)


def test_outcomes(revision: str, predictions: str) -> pd.DataFrame:
    """Of the test photos of one revision, by image id: `group`, whether the answer is `right`, and its `log_loss`."""
    files = dvc.api.DVCFileSystem(rev=None if revision == WORKSPACE else revision)
    photos = read_table(files, "data/letterbox.csv")
    photos = photos[(photos["split"] == "test") & (photos["status"] == "ok")].set_index("image_id")
    probabilities = read_table(files, predictions).set_index("image_id").astype(float)
    probabilities = probabilities.reindex(photos.index)
    of_truth = probabilities.to_numpy()[
        np.arange(len(photos)), probabilities.columns.get_indexer(pd.Index(photos["label"]))
    ]
    return pd.DataFrame(
        {
            "group": photos["group"].where(photos["group"] != "", photos.index),
            "right": probabilities.idxmax(axis=1) == photos["label"],
            "log_loss": -np.log(np.maximum(of_truth, _FLOOR)),
        }
    )


def main() -> None:
    """Print the difference of two revisions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("a", help=f"Git revision or DVC experiment, or `{WORKSPACE}`")
    parser.add_argument("b", help="the same, for the one that may be better")
    parser.add_argument("--model", help="one model by itself; left out, the ensemble")
    arguments = parser.parse_args()
    predictions = f"data/predictions/{arguments.model}.csv" if arguments.model else "data/ensemble_predictions.csv"
    first, second = test_outcomes(arguments.a, predictions), test_outcomes(arguments.b, predictions)
    both = first.join(second["right"].rename("right_b"), how="inner")
    found = difference(both["right"].to_numpy(), both["right_b"].to_numpy(), both["group"].to_numpy())
    print(f"{found.n} test photos in both; {arguments.a} {found.accuracy_a:.4f}, {arguments.b} {found.accuracy_b:.4f}")
    print(f"difference {found.gain:+.4f}, 95 % interval {found.low:+.4f} to {found.high:+.4f}")
    print(f"right in {arguments.a} alone: {found.only_a}; in {arguments.b} alone: {found.only_b}")


if __name__ == "__main__":
    command.run(main)
