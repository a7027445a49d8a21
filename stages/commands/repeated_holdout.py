"""The whole pipeline over several random splits: how much of a result is the luck of one of them?

Each split is a DVC experiment `<name>-<seed>` with its own `ingest.seed`, made as `experiment` makes them: runs
that are there already are not done again. Every split's test photos are answered by networks that did not learn from
them, and all those answers are then judged together.
"""

import argparse
import sys
import tempfile
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import dvc.api
import numpy as np
import pandas as pd

from stages.commands import experiment
from stages.commands.grid import Run
from stages.core import atomic, command, progress, settings, tables
from stages.ensemble import fitting
from stages.ensemble.settings import EnsembleSettings
from stages.schemas import class_list, split_data
from stages.schemas.split_data import SplitData
from stages.scoring import scores

_TARGET = "ensemble"
_READ = ("params.yaml", "data/classes.txt", "data/letterbox.csv", "data/predictions")


class Split(NamedTuple):
    """One split's test photos, and what the ensemble and the best single model on val say of them, each `(N, C)`."""

    test: SplitData
    ensemble: np.ndarray
    single: np.ndarray


def fetch(revision: str, folder: Path) -> Path:
    """Copy what `judge` reads, as it is in one revision or experiment, into `folder`, and return that."""
    files = dvc.api.DVCFileSystem(rev=revision)
    for path in _READ:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        files.get(path, str(folder / path), recursive=True)
    return folder


def score_split(folder: Path) -> Split:
    """Fit the blends on val once more, as the stage did, and answer test. Raises TableError without a val photo."""
    rule = settings.read(folder / "params.yaml", "ensemble", EnsembleSettings)
    classes = class_list.read_classes(folder / "data/classes.txt")
    splits = split_data.read(folder / "data/letterbox.csv", classes)
    val, test = splits["val"], splits["test"]
    if not val.image_ids or not test.image_ids:
        raise tables.TableError(
            f"{folder}/data/letterbox.csv: expected photos of val and test, found none of one of them"
        )
    models = fitting.read_models(folder / "params.yaml", folder / "data/predictions", classes)
    stacked = fitting.stack(models, val.image_ids + test.image_ids)
    best = fitting.alternatives(stacked, val, rule)["best_single"]
    of_test = stacked.of(test)
    return Split(test, fitting.fit(stacked, val, rule).mix(of_test), best(of_test))


def pooled(splits: list[Split]) -> Split:
    """All answers of all splits as one; a photo in the test part of several splits is in one group with itself."""
    tests = [split.test for split in splits]
    image_ids, sources, names, groups = (
        [item for test in tests for item in getattr(test, field)]
        for field in ("image_ids", "sources", "names", "groups")
    )
    together = SplitData(image_ids, sources, names, np.concatenate([test.labels for test in tests]), groups)
    blends = (np.concatenate([getattr(split, field) for split in splits]) for field in ("ensemble", "single"))
    return Split(together, *blends)


def table_row(name: str, split: Split) -> dict[str, str | float | int]:
    """The line of the table for a split: the ensemble's figures and what it has before the best single model."""
    found = scores.summary(split.test.labels, split.ensemble, split.test.groups)
    gain = fitting.gain(split.ensemble, split.single, split.test)
    kept = ("n", "accuracy", "accuracy_low", "accuracy_high", "log_loss", "ece", "ece_by_chance")
    gains = {f"gain_{what}": gain[what] for what in ("log_loss", "low", "high", "accuracy")}
    return {"split": name, **{figure: found[figure] for figure in kept}, **gains}


def table(splits: dict[int, Split]) -> pd.DataFrame:
    """A row per seed and a last one, `all`, of the answers of all of them."""
    rows = [table_row(str(seed), split) for seed, split in splits.items()]
    return pd.DataFrame([*rows, table_row("all", pooled(list(splits.values())))])


def markdown(found: pd.DataFrame, name: str, overrides: list[str]) -> str:
    """The same as a page of text."""
    alone = found["accuracy"].iloc[:-1]
    spread = f"{alone.mean():.3f} (standard deviation {alone.std():.3f})" if len(alone) > 1 else f"{alone.mean():.3f}"
    also = "".join(f", `{override}`" for override in overrides)
    lines = [
        f"# {name}: the ensemble over {len(alone)} random splits",
        "",
        f"Mean test accuracy {spread}. Every split trains all models anew with its `ingest.seed`{also}. Gain is the "
        "ensemble minus the best single model on val, tempered, paired photo by photo; its intervals come from "
        "redrawing groups of near-duplicates, in the last row with all answers to a photo kept together. The splits "
        "share photos to learn from, so that for other photographs the last row's is too narrow (Nadeau & Bengio 2003, "
        "Inference for the Generalization Error).",
        "",
        "| ingest.seed | answers | accuracy | log loss | calibration error (by chance) | gain in log loss |",
        "| --- | --- | --- | --- | --- | --- |",
        *[_line(found_row) for found_row in found.to_dict("records")],
        "",
        f"Experiments are named `{name}-<seed>`: `dvc exp show`, `dvc metrics diff A B`.",
    ]
    return "\n".join(lines) + "\n"


def _line(table_row: Mapping[Hashable, Any]) -> str:
    return (
        f"| {table_row['split']} | {table_row['n']} | {table_row['accuracy']:.3f} | {table_row['log_loss']:.3f} "
        f"| {table_row['ece']:.3f} ({table_row['ece_by_chance']:.3f}) "
        f"| {table_row['gain_log_loss']:+.3f} ({table_row['gain_low']:+.3f} to {table_row['gain_high']:+.3f}) |"
    )


def write_table(name: str, seeds: list[int], overrides: list[str], out: Path) -> int:
    """Write `<name>.csv` and `<name>.md` of the splits that were run; return how many these are."""
    done, splits = experiment.existing_runs(), {}
    for seed in seeds:
        if f"{name}-{seed}" in done:
            with tempfile.TemporaryDirectory(prefix=f"{name}-{seed}-") as folder:
                splits[seed] = score_split(fetch(f"{name}-{seed}", Path(folder)))
    if splits:
        found = table(splits)
        tables.write(out / f"{name}.csv", found)
        atomic.write_text(out / f"{name}.md", markdown(found, name, overrides))
    return len(splits)


def main() -> None:
    """Run the splits that are missing and write the table; exit with 1 if a run failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", default="splits", help="of the table, and the beginning of every experiment's")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5], help="each one a split")
    parser.add_argument("-S", "--set", action="append", default=[], metavar="KEY=VALUE", help="as of `dvc exp run`")
    parser.add_argument("--jobs", type=int, default=1, help="splits at a time; `train.threads` are each one's own")
    parser.add_argument("--out", type=Path, default=Path("metrics/experiments"))
    arguments = parser.parse_args()
    experiment.require_commit()
    wanted = [
        Run(f"{arguments.name}-{seed}", arguments.name, seed, (*arguments.set, f"ingest.seed={seed}"))
        for seed in arguments.seeds
    ]
    errors = experiment.run_missing(wanted, _TARGET, arguments.jobs, arguments.name)
    runs = write_table(arguments.name, arguments.seeds, arguments.set, arguments.out)
    progress.summary(f"repeat {arguments.name}", runs=runs, failed=len(errors))
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    command.run(main)
