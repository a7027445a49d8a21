"""Compare two experiments photo by photo, with a 95 % interval.

Both must have been run on the same photos. `dvc metrics diff` shows the figures of each, but not whether their
difference could be chance.
"""

import argparse
import io
from dataclasses import dataclass

import dvc.api
import numpy as np
import pandas as pd

from stages.commands import revisions
from stages.commands.revisions import WORKSPACE
from stages.core import command
from stages.core.errors import UserError
from stages.scoring import paired
from stages.scoring.probabilities import negative_log_likelihood
from stages.scoring.temperature_scaling import apply_temperature


@dataclass(frozen=True)
class AccuracyComparison:
    """`gain` is accuracy of b minus accuracy of a, with a 95 % interval; `only_a`, `only_b` count photos."""

    n: int
    accuracy_a: float
    accuracy_b: float
    gain: float
    low: float
    high: float
    only_a: int
    only_b: int


def compare_accuracy(
    correct_a: np.ndarray, correct_b: np.ndarray, groups: np.ndarray, seed: int = 0
) -> AccuracyComparison:
    """Compare two classifiers on the same photos by `(N,)` bool each, whether the prediction is correct.

    The interval is that of `paired.paired_bootstrap` over groups `(N,)` of near-duplicates.
    """
    gains = correct_b.astype(int) - correct_a.astype(int)
    difference = paired.paired_bootstrap(gains, groups, seed)
    only_a, only_b = int((gains < 0).sum()), int((gains > 0).sum())
    return AccuracyComparison(len(gains), float(correct_a.mean()), float(correct_b.mean()), *difference, only_a, only_b)


def read_table(files: dvc.api.DVCFileSystem, path: str) -> pd.DataFrame:
    """Read a table of one revision of the project, indexed by image id. Raises UserError if it is none."""
    text = files.read_text(path, encoding="utf-8")
    kinds = {"image_id": str, "label": str, "group": str}
    try:
        return pd.read_csv(io.StringIO(text), dtype=kinds, keep_default_na=False).set_index("image_id")
    except (pd.errors.EmptyDataError, pd.errors.ParserError, KeyError) as error:
        raise UserError(f"{path}: expected a table with `image_id`, found: {error}; run `dvc repro`") from None


def test_outcomes(revision: str, predictions: str) -> pd.DataFrame:
    """The test photos of one revision, as `split_outcomes` has them."""
    return split_outcomes(revision, predictions, "test")


def split_outcomes(revision: str, predictions: str, split: str, temperature: float = 1.0) -> pd.DataFrame:
    """The photos of one split by image id: `group`, whether the prediction is `right`, and its `log_loss`.

    The log loss is that of probabilities after `temperature`. Where the table `predictions` has photos of train, they
    were predicted out of fold (`train.folds`), and `val` is all photos outside test. Raises UserError for an unknown
    revision, and unless the table has all photos of the split.
    """
    with revisions.opened(revision) as files:
        photos, probabilities = read_table(files, "data/splits.csv"), read_table(files, predictions)
    photos = photos[photos["status"] == "ok"]
    is_out_of_fold = photos.index[photos["split"] == "train"].isin(probabilities.index).any()
    photos = photos[photos["split"].isin(["train", "val"] if split == "val" and is_out_of_fold else [split])]
    if missing := sorted(set(photos.index) - set(probabilities.index)):
        raise UserError(
            f"{predictions} of `{revision}`: expected the {len(photos)} {split} photos of data/splits.csv, found "
            f"none for {missing[0]}; run `dvc repro`"
        )
    probabilities = probabilities.astype(float).reindex(photos.index)
    labels = probabilities.columns.get_indexer(pd.Index(photos["label"]))
    return pd.DataFrame(
        {
            "group": photos["group"].where(photos["group"] != "", photos.index),
            "right": probabilities.idxmax(axis=1) == photos["label"],
            "log_loss": negative_log_likelihood(labels, apply_temperature(probabilities.to_numpy(), temperature)),
        }
    )


def main() -> None:
    """Print the difference of two revisions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("a", help=f"a Git revision, a DVC experiment, or `{WORKSPACE}`")
    parser.add_argument("b", help="the same, for the one that may be better")
    parser.add_argument("--model", help="the model to compare; default: the ensemble")
    arguments = parser.parse_args()
    predictions = f"data/predictions/{arguments.model}.csv" if arguments.model else "data/ensemble_predictions.csv"
    first, second = test_outcomes(arguments.a, predictions), test_outcomes(arguments.b, predictions)
    both = first.join(second["right"].rename("right_b"), how="inner")
    result = compare_accuracy(both["right"].to_numpy(), both["right_b"].to_numpy(), both["group"].to_numpy())
    print(
        f"{result.n} test photos in both; {arguments.a} {result.accuracy_a:.4f}, {arguments.b} {result.accuracy_b:.4f}"
    )
    print(f"difference {result.gain:+.4f}, 95 % interval {result.low:+.4f} to {result.high:+.4f}")
    print(f"right in {arguments.a} alone: {result.only_a}; in {arguments.b} alone: {result.only_b}")


if __name__ == "__main__":
    command.run(main)
