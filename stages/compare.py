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

_ROUNDS = 10_000
WORKSPACE = "workspace"


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

    The interval is a paired bootstrap over groups `(N,)` of near-duplicates (Efron, Tibshirani: An Introduction to
    the Bootstrap, chapter 13): the percentiles of the mean difference when whole groups are drawn again.
    """
    if len(right_a) == 0:
        raise ValueError("expected photos that both experiments predicted, found none")
    gains = right_b.astype(int) - right_a.astype(int)
    by_group = pd.DataFrame({"gain": gains, "size": 1}).groupby(groups).sum().to_numpy()
    draws = np.random.default_rng(seed).integers(0, len(by_group), (_ROUNDS, len(by_group)))
    sums = by_group[draws].sum(axis=1)
    low, high = np.percentile(sums[:, 0] / sums[:, 1], [2.5, 97.5])
    only_a, only_b = int((gains < 0).sum()), int((gains > 0).sum())
    accuracies = float(right_a.mean()), float(right_b.mean())
    return Difference(len(gains), *accuracies, float(gains.mean()), float(low), float(high), only_a, only_b)


def read_table(path: str, revision: str) -> pd.DataFrame:
    """Read a table as it was in a Git revision or DVC experiment, or as it is for `workspace`."""
    text = dvc.api.read(path, rev=None if revision == WORKSPACE else revision)
    return pd.read_csv(io.StringIO(text), dtype={"image_id": str, "label": str, "group": str}, keep_default_na=False)


def answers(revision: str, predictions: str) -> pd.DataFrame:
    """Of the test photos of one revision, indexed by image id: `group`, and whether the answer is `right`."""
    photos = read_table("data/letterbox.csv", revision)
    photos = photos[(photos["split"] == "test") & (photos["status"] == "ok")].set_index("image_id")
    probabilities = read_table(predictions, revision).set_index("image_id").astype(float)
    predicted = probabilities.idxmax(axis=1).reindex(photos.index)
    return photos.assign(right=predicted == photos["label"])[["group", "right"]]


def main() -> None:
    """Print the difference of two revisions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("a", help=f"Git revision or DVC experiment, or `{WORKSPACE}`")
    parser.add_argument("b", help="the same, for the one that may be better")
    parser.add_argument("--model", help="one model by itself; left out, the ensemble")
    arguments = parser.parse_args()
    predictions = f"data/predictions/{arguments.model}.csv" if arguments.model else "data/ensemble_predictions.csv"
    first, second = answers(arguments.a, predictions), answers(arguments.b, predictions)
    both = first.join(second["right"].rename("right_b"), how="inner")
    found = difference(both["right"].to_numpy(), both["right_b"].to_numpy(), both["group"].to_numpy())
    print(f"{found.n} test photos in both; {arguments.a} {found.accuracy_a:.4f}, {arguments.b} {found.accuracy_b:.4f}")
    print(f"difference {found.gain:+.4f}, 95 % interval {found.low:+.4f} to {found.high:+.4f}")
    print(f"right in {arguments.a} alone: {found.only_a}; in {arguments.b} alone: {found.only_b}")


if __name__ == "__main__":
    main()
