"""Run the whole pipeline on several random splits, or on all folds.

The spread over the splits shows how much of a result depends on one split.

Each split is a DVC experiment `<name>-<seed>` with its own `ingest.seed`, or `<name>-<fold>` with its own
`ingest.fold`, made as by `python -m stages experiment`: existing runs are not repeated. The test predictions of all
splits, each by models that were not trained on the photo, are then evaluated together.
"""

import argparse
import sys
import tempfile
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from stages.commands import clustered_experiments, experiment, revisions
from stages.commands.grid import Run
from stages.core import atomic, command, progress, settings, tables
from stages.core.errors import TableError
from stages.ensemble import fitting, selective
from stages.ensemble.settings import AbstainSettings, EnsembleSettings
from stages.schemas import class_list, split_data
from stages.schemas.split_data import SplitData
from stages.scoring import paired, scores

_TARGET = "ensemble"
_SPLITS = "data/splits.csv"
# Of `ensemble.abstain`: what is promised of the predictions that are sure.
_MAX_RISKS = (0.05, 0.1)
_INPUTS = ("params.yaml", "data/classes.txt", _SPLITS, "data/predictions")


class SplitPredictions(NamedTuple):
    """The test photos of one split, with the probabilities `(N, C)` of the ensemble and of the best single model.

    `sure` tells by `max_risk` of which photos the ensemble is sure (N,), by a threshold that val chose.
    """

    test: SplitData
    ensemble: np.ndarray
    single: np.ndarray
    sure: dict[float, np.ndarray]


def fetch(revision: str, folder: Path) -> Path:
    """Copy the inputs of `predict_split`, from one revision or experiment, into `folder`; return the folder."""
    with revisions.opened(revision) as files:
        for path in _INPUTS:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            files.get(path, str(folder / path), recursive=True)
    return folder


def predict_split(folder: Path) -> SplitPredictions:
    """Fit the ensemble on val, as the stage does, and predict test. Raises TableError if val or test is empty."""
    rule = settings.read(folder / "params.yaml", "ensemble", EnsembleSettings)
    classes = class_list.read_classes(folder / "data/classes.txt")
    models = fitting.read_models(folder / "params.yaml", folder / "data/predictions", classes)
    stacked, splits = fitting.stack_held_out(models, split_data.read(folder / _SPLITS, classes))
    for name, split in splits.items():
        if not split.image_ids:
            raise TableError(f"{folder / _SPLITS}: expected photos of the split {name}, found none")
    val, test = splits["val"], splits["test"]
    best_single = fitting.alternatives(stacked, val, rule)["best_single"]
    probabilities, fitted = stacked.select(test), fitting.fit(stacked, val, rule)
    ranked = fitting.ranked_predictions(stacked, splits, fitted, rule)
    promised = rule.abstain or AbstainSettings(max_risk=_MAX_RISKS[0])
    sure = {
        risk: selective.is_sure(
            ranked["test"], selective.choose_threshold(ranked["val"], promised.replace(max_risk=risk))
        )
        for risk in _MAX_RISKS
    }
    return SplitPredictions(test, fitted.ensemble(probabilities), best_single(probabilities), sure)


def pool(splits: list[SplitPredictions]) -> SplitPredictions:
    """The predictions of all splits as one; those of one photo in several splits share a group."""
    pooled = split_data.join([split.test for split in splits])
    ensemble, single = (np.concatenate([getattr(split, name) for split in splits]) for name in ("ensemble", "single"))
    sure = {risk: np.concatenate([split.sure[risk] for split in splits]) for risk in _MAX_RISKS}
    return SplitPredictions(pooled, ensemble, single, sure)


def table_row(name: str, split: SplitPredictions) -> dict[str, str | float | int]:
    """The row of one split: the scores of the ensemble and its gain over the best single model."""
    summary = scores.summary(split.test.labels, split.ensemble, split.test.groups)
    gain = paired.paired_gain(split.ensemble, split.single, split.test.labels, split.test.groups)
    columns = ("n", "accuracy", "accuracy_low", "accuracy_high", "log_loss", "ece", "ece_if_calibrated")
    gains = {f"gain_{key}": gain[key] for key in ("log_loss", "log_loss_low", "log_loss_high", "accuracy")}
    return {"split": name, **{key: summary[key] for key in columns}, **gains, **_promises(split)}


def _promises(split: SplitPredictions) -> dict[str, float]:
    """The share of photos that are sure, and of them the share that is wrong, none if none is sure, by `max_risk`."""
    wrong, found = split.ensemble.argmax(axis=1) != split.test.labels, {}
    for max_risk, sure in split.sure.items():
        found[f"coverage_{max_risk}"] = float(sure.mean())
        found[f"risk_{max_risk}"] = float(wrong[sure].mean()) if sure.any() else np.nan
    return found


def table(splits: dict[int, SplitPredictions]) -> pd.DataFrame:
    """A row per seed or fold, and a last one, `all`, for the predictions of all of them."""
    rows = [table_row(str(seed), split) for seed, split in splits.items()]
    return pd.DataFrame([*rows, table_row("all", pool(list(splits.values())))])


def markdown(table: pd.DataFrame, name: str, overrides: list[str], folds: int | None = None) -> str:
    """The table as a Markdown page; `folds` is the number of folds, None for random splits."""
    accuracies = table["accuracy"].iloc[:-1]
    key = "ingest.fold" if folds else "ingest.seed"
    spread = f" (standard deviation {accuracies.std():.3f})" if len(accuracies) > 1 else ""
    also = "".join(f", `{override}`" for override in overrides)
    lines = [
        f"# {name}: the ensemble on {len(accuracies)} {f'of {folds} folds' if folds else 'random splits'}",
        "",
        f"Mean test accuracy {accuracies.mean():.3f}{spread}. For every split all models are trained anew, with its "
        f"`{key}`{also}. Gain is the ensemble minus the best single model on val (calibrated), photo by photo, "
        "with 95 % intervals from a bootstrap over groups of near-duplicates; in the last row all predictions of one "
        "photo are one group. The splits share training photos, so for other photographs the interval of the last row "
        "is too narrow (Nadeau & Bengio 2003, Inference for the Generalization Error).",
        "",
        "Sure are predictions above a threshold. Val promises, with a probability of 0.9, that no larger share of them "
        "is wrong than `ensemble.abstain.max_risk`.",
        "",
        f"| {key} | predictions | accuracy | log loss | calibration error (if calibrated) | gain in log loss "
        + "".join(f"| sure for {risk}, of which wrong " for risk in _MAX_RISKS)
        + "|",
        "| --- | --- | --- | --- | --- | --- |" + " --- |" * len(_MAX_RISKS),
        *[_line(row) for row in table.to_dict("records")],
        "",
        f"Experiments are named `{name}-<{key.removeprefix('ingest.')}>`: `dvc exp show`, `dvc metrics diff A B`.",
    ]
    return "\n".join(lines) + "\n"


def _line(row: Mapping[Hashable, Any]) -> str:
    return (
        f"| {row['split']} | {row['n']} | {row['accuracy']:.3f} | {row['log_loss']:.3f} "
        f"| {row['ece']:.3f} ({row['ece_if_calibrated']:.3f}) "
        f"| {row['gain_log_loss']:+.3f} ({row['gain_log_loss_low']:+.3f} to {row['gain_log_loss_high']:+.3f}) "
        + "".join(f"| {_promise(row[f'coverage_{risk}'], row[f'risk_{risk}'])} " for risk in _MAX_RISKS)
        + "|"
    )


def _promise(coverage: float, risk: float) -> str:
    return f"{coverage:.1%}, {risk:.1%}" if coverage else "none"


def split_overrides(number: int, folds: int | None) -> tuple[str, ...]:
    """The parameters of a split: its seed, or its number among the folds."""
    return (f"ingest.seed={number}",) if folds is None else (f"ingest.folds={folds}", f"ingest.fold={number}")


def write_table(name: str, numbers: list[int], overrides: list[str], out: Path, folds: int | None = None) -> int:
    """Write `<name>.csv` and `<name>.md` of the existing runs; return their number."""
    existing, splits = revisions.existing_runs(), {}
    for number in numbers:
        if f"{name}-{number}" in existing:
            with tempfile.TemporaryDirectory(prefix=f"{name}-{number}-") as folder:
                splits[number] = predict_split(fetch(f"{name}-{number}", Path(folder)))
    if splits:
        results = table(splits)
        tables.write(out / f"{name}.csv", results)
        atomic.write_text(out / f"{name}.md", markdown(results, name, overrides, folds))
    return len(splits)


def main() -> None:
    """Make the missing runs and write the table; exit with 1 if a run failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--name", help="name of the table and prefix of the experiments; default: splits, or folds")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument(
        "--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5], help="a random split each; default: 1 to 5"
    )
    kind.add_argument("--folds", type=int, metavar="K", help="instead, each fold of a cross-validation with K folds")
    parser.add_argument(
        "-S", "--set", action="append", default=[], metavar="KEY=VALUE", help="another parameter, as for `dvc exp run`"
    )
    parser.add_argument("--jobs", type=int, default=1, help="splits at a time, each with `runtime.threads`; default: 1")
    parser.add_argument("--out", type=Path, default=Path("metrics/experiments"), help="folder of the table")
    clustered_experiments.add_arguments(parser)
    arguments = parser.parse_args()
    if arguments.folds is not None and arguments.folds < 2:
        parser.error(f"--folds: expected 2 or more, found {arguments.folds}")
    experiment.require_commit()
    folds, numbers = arguments.folds, arguments.seeds if arguments.folds is None else list(range(arguments.folds))
    name = arguments.name or ("splits" if folds is None else "folds")
    runs = [Run(f"{name}-{n}", name, n, (*arguments.set, *split_overrides(n, folds))) for n in numbers]
    errors = experiment.run_missing(runs, _TARGET, arguments.jobs, name, clustered_experiments.place_of(arguments))
    n_runs = write_table(name, numbers, arguments.set, arguments.out, folds)
    progress.summary(f"repeated_holdout {name}", runs=n_runs, failed=len(errors))
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    command.run(main)
