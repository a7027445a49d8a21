"""The results of a search: one row per trial, the best trial beside the defaults on test, and a page of both."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from stages.commands.search_record import Trial
from stages.commands.search_space import Search
from stages.core.yaml_file import as_yaml

_FAILED = "failed"


def table(trials: Sequence[Trial], search: Search) -> pd.DataFrame:
    """One row per trial, in the given order: number, state, log loss on val, seconds, then the searched parameters."""
    rows = [
        {
            "trial": trial.number,
            "state": "done" if trial.val_log_loss is not None else _FAILED,
            "val_log_loss": trial.val_log_loss,
            "seconds": trial.seconds,
            **{key: as_yaml(trial.values[key]) for key in search.space},
        }
        for trial in trials
    ]
    return pd.DataFrame(rows)


def markdown(name: str, search: Search, trials: Sequence[Trial], test: str, importances: Mapping[str, float]) -> str:
    """The trials, in the given order, as a Markdown page; `test` are lines on the test photos.

    `importances` of parameters, 0..1, may be empty.
    """
    calibrated = ", after each model's temperature" if search.objective == "log_loss_calibrated" else ""
    lines = [
        f"# {search.question}",
        "",
        f"`{search.target}` with {' '.join(search.common) or 'the parameters of params.yaml'}. Trials were chosen by "
        f"the log loss on val alone{calibrated}; trial 0 has the defaults. The best of many trials looks better on val "
        "than it is.",
        "",
        f"| trial | val log loss | minutes | {' | '.join(f'`{key}`' for key in search.space)} |",
        f"| --- | --- | --- |{' --- |' * len(search.space)}",
        *[_line(trial, search) for trial in trials],
        "",
        test,
        "",
        *_importance_lines(importances),
        f"Experiments are named `{name}-<trial>`: `dvc exp show`, `dvc exp apply {name}-{trials[0].number}`.",
    ]
    return "\n".join(lines) + "\n"


def _line(trial: Trial, search: Search) -> str:
    loss = _FAILED if trial.val_log_loss is None else f"{trial.val_log_loss:.4f}"
    minutes = "" if trial.seconds is None else f"{trial.seconds / 60:.1f}"
    values = " | ".join(_shown(trial.values[key]) for key in search.space)
    return f"| {trial.number} | {loss} | {minutes} | {values} |"


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else as_yaml(value)


def _importance_lines(importances: Mapping[str, float]) -> list[str]:
    if not importances:
        return []
    shares = ", ".join(f"`{key}` {share:.2f}" for key, share in importances.items())
    return [f"Share of each parameter in what made trials good (PED-ANOVA, arXiv:2304.10255): {shares}.", ""]


def test_line(number: int, n_photos: int, differences: Mapping[str, float]) -> str:
    """The sentence on test: trial `number` minus the defaults, from `comparison.differences`."""
    accuracy, loss = (
        f"{differences[key]:+.4f} ({differences[f'{key}_low']:+.4f} to {differences[f'{key}_high']:+.4f})"
        for key in ("accuracy_gain", "log_loss_gain")
    )
    return (
        f"On test (n = {n_photos}), trial {number} minus the defaults, photo by photo with 95 % intervals: "
        f"accuracy {accuracy}, log loss {loss}."
    )
