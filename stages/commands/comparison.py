"""The results of a grid of experiments: one row per arm, compared photo by photo with the baseline."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from stages.commands.grid import Grid
from stages.scoring import paired

_FIGURES = ("right", "log_loss")
_COLUMNS = (*_FIGURES, *(f"{name}_baseline" for name in _FIGURES))

RunOutcomes = Mapping[tuple[str, int], pd.DataFrame]


def table(outcomes: RunOutcomes, grid: Grid) -> pd.DataFrame:
    """One row per arm that has runs; `outcomes` holds by (arm, seed) a table of test photos, indexed by image id.

    Such a table has the columns `group`, `right` (bool) and `log_loss`. Those of an arm are averaged over its seeds,
    photo by photo; `accuracy_lowest` and `accuracy_highest` are of single seeds. Differences are arm minus baseline,
    over photos that both have, with the intervals of `paired.paired_bootstrap`: these describe the photos, not the
    seeds.
    """
    by_arm = {arm: [frame for (name, _), frame in sorted(outcomes.items()) if name == arm] for arm in grid.arms}
    means = {arm: _mean_over_seeds(frames) for arm, frames in by_arm.items() if frames}
    rows = [
        {
            "arm": arm,
            "overrides": " ".join(grid.arms[arm]),
            **_scores(by_arm[arm]),
            **_differences(mean, means.get(grid.baseline)),
        }
        for arm, mean in means.items()
    ]
    return pd.DataFrame(rows)


def _mean_over_seeds(frames: list[pd.DataFrame]) -> pd.DataFrame:
    figures = pd.concat([frame[list(_FIGURES)].astype(float) for frame in frames])
    return figures.groupby(level=0).mean().join(frames[0]["group"])


def _scores(frames: list[pd.DataFrame]) -> dict[str, float | int]:
    accuracies = [float(frame["right"].mean()) for frame in frames]
    return {
        "seeds": len(frames),
        "n": len(frames[0]),
        "accuracy": float(np.mean(accuracies)),
        "accuracy_lowest": min(accuracies),
        "accuracy_highest": max(accuracies),
        "log_loss": float(np.mean([frame["log_loss"].mean() for frame in frames])),
    }


def _differences(mean: pd.DataFrame, baseline: pd.DataFrame | None) -> dict[str, float]:
    return {} if baseline is None else differences(mean, baseline)


def differences(outcomes: pd.DataFrame, baseline: pd.DataFrame) -> dict[str, float]:
    """The means of `outcomes` minus `baseline` over photos that both have, with 95 % intervals.

    Each is a table of test photos as in `table`, where `right` may be a mean. Keys are `accuracy_gain` and
    `log_loss_gain`, and these with `_low` and `_high`. Raises UserError if there is no such photo.
    """
    both = outcomes.join(baseline.add_suffix("_baseline"), how="inner").astype(dict.fromkeys(_COLUMNS, float))
    intervals = {
        name: paired.paired_bootstrap((both[name] - both[f"{name}_baseline"]).to_numpy(), both["group"].to_numpy())
        for name in _FIGURES
    }
    titles = {"right": "accuracy_gain", "log_loss": "log_loss_gain"}
    return {
        f"{title}{suffix}": value
        for name, title in titles.items()
        for suffix, value in zip(("", "_low", "_high"), intervals[name])
    }


def markdown(table: pd.DataFrame, grid: Grid, name: str) -> str:
    """The table as a Markdown page: the question, one line per arm, and how to inspect the runs."""
    lines = [
        f"# {grid.question}",
        "",
        f"`{grid.target}` with {' '.join(grid.common) or 'the parameters of params.yaml'}. Differences are from "
        f"`{grid.baseline}`, photo by photo over the means of the seeds, with 95 % intervals from a bootstrap over "
        "groups of near-duplicates. An interval describes the choice of photos, the range of seeds the choice of seed.",
        "",
        "| arm | parameters | test accuracy (seeds) | difference | test log loss | difference |",
        "| --- | --- | --- | --- | --- | --- |",
        *[_line(row, grid.baseline) for row in table.to_dict("records")],
        "",
        f"n = {', '.join(map(str, sorted(set(table['n']))))} test photos, seeds {', '.join(map(str, grid.seeds))}. "
        f"Experiments are named `{name.replace('_', '-')}-<arm>-<seed>`: `dvc exp show`, "
        "`dvc metrics diff A B`, `dvc plots diff A B`.",
    ]
    return "\n".join(lines) + "\n"


def _line(row: Mapping[Hashable, Any], baseline: str) -> str:
    seeds = f"{row['accuracy']:.3f} ({row['accuracy_lowest']:.3f} to {row['accuracy_highest']:.3f}, {row['seeds']})"
    differences = ["", ""]
    if row["arm"] != baseline and "accuracy_gain" in row:
        differences = [
            f"{row[name]:+.3f} ({row[name + '_low']:+.3f} to {row[name + '_high']:+.3f})"
            for name in ("accuracy_gain", "log_loss_gain")
        ]
    arm = f"**{row['arm']}**" if row["arm"] == baseline else str(row["arm"])
    overrides = f"`{row['overrides']}`" if row["overrides"] else ""
    return f"| {arm} | {overrides} | {seeds} | {differences[0]} | {row['log_loss']:.3f} | {differences[1]} |"
