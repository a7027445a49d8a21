"""What the runs of a grid say: a row per arm, judged photo by photo against the baseline."""

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from stages.commands.grid import Grid
from stages.scoring import paired

_FIGURES = ("right", "log_loss")

RunPredictions = Mapping[tuple[str, int], pd.DataFrame]


def table(answers: RunPredictions, grid: Grid) -> pd.DataFrame:
    """A row per arm that has runs; `answers` holds by (arm, seed) a table of test photos, indexed by image id.

    Such a table has the columns `group`, `right` (bool) and `log_loss`. Each arm's are averaged over its seeds, photo
    by photo; `accuracy_lowest` and `accuracy_highest` are those of single seeds. Differences are arm minus baseline,
    over photos that both have, with intervals as of `paired.gap`: they tell of these photos, not of other seeds.
    """
    by_arm = {arm: [found for (name, _), found in sorted(answers.items()) if name == arm] for arm in grid.arms}
    means = {arm: _mean(found) for arm, found in by_arm.items() if found}
    rows = [
        {"arm": arm, "overrides": " ".join(grid.arms[arm]), **_alone(by_arm[arm]), **_against(mean, means, grid)}
        for arm, mean in means.items()
    ]
    return pd.DataFrame(rows)


def _mean(found: list[pd.DataFrame]) -> pd.DataFrame:
    figures = pd.concat([frame[list(_FIGURES)].astype(float) for frame in found])
    return figures.groupby(level=0).mean().join(found[0]["group"])


def _alone(found: list[pd.DataFrame]) -> dict[str, float | int]:
    accuracies = [float(frame["right"].mean()) for frame in found]
    return {
        "seeds": len(found),
        "n": len(found[0]),
        "accuracy": float(np.mean(accuracies)),
        "accuracy_lowest": min(accuracies),
        "accuracy_highest": max(accuracies),
        "log_loss": float(np.mean([frame["log_loss"].mean() for frame in found])),
    }


def _against(mean: pd.DataFrame, means: dict[str, pd.DataFrame], grid: Grid) -> dict[str, float]:
    if grid.baseline not in means:
        return {}
    both = mean.join(means[grid.baseline].add_suffix("_of_baseline"), how="inner")
    gaps = {
        name: paired.paired_bootstrap((both[name] - both[f"{name}_of_baseline"]).to_numpy(), both["group"].to_numpy())
        for name in _FIGURES
    }
    titles = {"right": "accuracy_gain", "log_loss": "log_loss_gain"}
    return {
        f"{title}{suffix}": value
        for name, title in titles.items()
        for suffix, value in zip(("", "_low", "_high"), gaps[name])
    }


def markdown(table: pd.DataFrame, grid: Grid, name: str) -> str:
    """The same as a page of text: the question, one line per arm, and how to look closer."""
    lines = [
        f"# {grid.question}",
        "",
        f"`{grid.target}` with {' '.join(grid.common) or 'the parameters as they are'}; differences are from "
        f"`{grid.baseline}`, paired photo by photo over the seeds' means, with 95 % intervals from redrawing groups of "
        "near-duplicates. Those tell how sure these photos make it; the range of seeds, what another seed does.",
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
    gaps = ["", ""]
    if row["arm"] != baseline and "accuracy_gain" in row:
        gaps = [
            f"{row[what]:+.3f} ({row[what + '_low']:+.3f} to {row[what + '_high']:+.3f})"
            for what in ("accuracy_gain", "log_loss_gain")
        ]
    arm = f"**{row['arm']}**" if row["arm"] == baseline else str(row["arm"])
    overrides = f"`{row['overrides']}`" if row["overrides"] else ""
    return f"| {arm} | {overrides} | {seeds} | {gaps[0]} | {row['log_loss']:.3f} | {gaps[1]} |"
