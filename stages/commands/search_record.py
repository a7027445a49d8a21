"""The trials of a search that ended, in a file: what a search that was killed goes on from.

The experiments hold parameters and figures; the file adds what they do not: failures, times, and what was searched.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from stages.commands.search_space import Search
from stages.core import atomic, json_file, programs, settings
from stages.core.errors import UserError
from stages.core.settings import Count, NotNegative, Settings, SettingsError, WholeNumber

# Changes of these leave the trials of earlier commits comparable.
_HARMLESS = ("README.md", "docs/", "experiments/", "metrics/experiments/")


class Trial(Settings):
    """One trial that ended: trial 0 has the defaults.

    `val_log_loss` is null if it failed, and `error` says why; `commit` is the Git commit of its DVC experiment.
    """

    number: WholeNumber
    values: dict[str, Any]
    val_log_loss: float | None
    seconds: NotNegative | None = Field(description="null for an experiment that was found, not made")
    commit: str = ""
    error: str = ""


class _Record(Settings):
    commit: str
    fixed: dict[str, str]
    trials: tuple[Trial, ...]
    version: Count = 1


def read(record: Path, search: Search, path: Path) -> list[Trial]:
    """The trials of `record`, none without that file; `path` is the file of the search.

    Raises UserError if these trials are of another space, or of a commit with other code, parameters or data.
    """
    if not record.is_file():
        return []
    anew = f"remove {record} to begin anew"
    try:
        content = settings.build(json_file.read(record, advice=anew), _Record, "")
    except SettingsError as error:
        raise UserError(f"{record}: {error}; {anew}") from None
    _require_same(content, search, path, record)
    _require_comparable(content.commit, path, record)
    return list(content.trials)


def _require_same(content: _Record, search: Search, path: Path, record: Path) -> None:
    before, now = content.fixed, search.fixed()
    for key in sorted({*before, *now}):
        if before.get(key) != now.get(key):
            raise UserError(
                f"{path}: {key}: expected {before.get(key, 'none')}, as in {len(content.trials)} trials of {record}, "
                f"found {now.get(key, 'none')}; name the file anew for another search, or remove {record}"
            )


def _require_comparable(commit: str, path: Path, record: Path) -> None:
    changed = programs.output("git", "diff", "--name-only", "--no-renames", commit, "HEAD", "--").splitlines()
    others = [name for name in changed if not name.startswith(_HARMLESS) and name != path.as_posix()]
    if others:
        raise UserError(
            f"{others[0]}: expected it as in commit {commit[:7]}, that of the trials of {record}, found a change: new "
            f"trials could not be compared; run `git checkout {commit[:7]}` to go on there, or name {path} anew"
        )


def write(record: Path, search: Search, trials: Sequence[Trial]) -> None:
    """Write the trials, sorted by number, completely or not at all."""
    commit = programs.output("git", "rev-parse", "HEAD").strip()
    ordered = tuple(sorted(trials, key=lambda trial: trial.number))
    atomic.write_json(record, _Record(commit=commit, fixed=search.fixed(), trials=ordered).model_dump())
