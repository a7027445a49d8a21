"""What a search has tried, what it tries next, and whether its budget allows that."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from stages.commands import revisions, search_record, search_sampler, search_scores, search_space
from stages.commands.grid import Run
from stages.commands.search_record import Trial
from stages.commands.search_space import Search, Value
from stages.core import programs, settings
from stages.core.errors import UserError

_PARAMS = "params.yaml"
_SECONDS_PER_HOUR = 3600


class Proposal(NamedTuple):
    """A trial that is to run: its number and the values of the searched parameters."""

    number: int
    values: dict[str, Value]


class Session:
    """The trials of one search that ended, which are kept in the file `record`, and what follows from them.

    `path` is the file of the search; its stem names the experiments.
    """

    def __init__(self, path: Path, search: Search, record: Path, retry_failed: bool = False) -> None:
        """Read the trials of earlier sessions, and add experiments that they had no time to note down.

        With `retry_failed`, the numbers of failed trials are free again.

        Raises UserError if these belong to another search, and SettingsError for one that params.yaml does not allow.
        """
        self.name, self.search, self._record = path.stem.replace("_", "-"), search, record
        try:
            self._defaults = search_space.defaults(search, settings.load(Path(_PARAMS)))
        except settings.SettingsError as error:
            raise settings.SettingsError(f"{path}: {error}") from None
        trials = search_record.read(record, search, path)
        self.trials = [trial for trial in trials if not (retry_failed and trial.error)]
        known = {self.name_of(trial.number) for trial in self.trials}
        for name in sorted(revisions.existing_runs() - known):
            stem, _, number = name.rpartition("-")
            if stem == self.name and number.isdecimal():
                self.add(Proposal(int(number), self._values_of(name)), None)

    def _values_of(self, name: str) -> dict[str, Value]:
        with tempfile.TemporaryDirectory() as folder:
            params = settings.load(revisions.fetch(_commit_of(name), _PARAMS, Path(folder)))
        values = search_space.values_of(self.search, params)
        for key, value in values.items():
            if value not in self.search.space[key]:
                raise UserError(
                    f"experiment {name}: expected {key} in {self.search.space[key].shown()}, found {value!r}: it is of "
                    f"another search; give this search's file another name, or run `dvc exp remove {name}`"
                )
        return values

    def hours(self) -> float:
        """The hours of all trials that ended, together."""
        return sum(trial.seconds or 0 for trial in self.trials) / _SECONDS_PER_HOUR

    def is_used_up(self, n_running: int = 0) -> bool:
        """Whether the budget allows no other trial beside those that ended and `n_running` ones."""
        budget = self.search.budget
        enough = budget.trials is not None and len(self.trials) + n_running >= budget.trials
        return enough or (budget.hours is not None and self.hours() >= budget.hours)

    def n_workers(self, jobs: int) -> int:
        """How many of `jobs` trials at a time the budget has work for."""
        return sum(not self.is_used_up(number) for number in range(jobs))

    def propose(self, running: Sequence[Proposal]) -> Proposal:
        """The next trial, of the lowest number that is free; number 0 has the defaults."""
        taken = {trial.number for trial in self.trials} | {proposal.number for proposal in running}
        number = min(set(range(len(taken) + 1)) - taken)
        if number == 0:
            return Proposal(0, self._defaults)
        values = [proposal.values for proposal in running]
        return Proposal(number, search_sampler.propose(self.search, self.trials, values, number))

    def name_of(self, number: int) -> str:
        """The name of a trial's DVC experiment."""
        return f"{self.name}-{number}"

    def run_of(self, number: int, values: dict[str, Value]) -> Run:
        """The DVC experiment of a trial."""
        return Run(self.name_of(number), self.name, number, search_space.overrides(self.search, values))

    def add(self, proposal: Proposal, seconds: float | None, error: str = "") -> Trial:
        """Note down that a trial ended, with its log loss on val; without that it failed."""
        name, commit, loss = self.name_of(proposal.number), "", None
        if not error:
            commit = _commit_of(name)
            try:
                loss = search_scores.val_log_loss(commit, self.search)
            except UserError as problem:
                error = f"{name}: {problem}"
        trial = Trial(
            number=proposal.number,
            values=proposal.values,
            val_log_loss=loss,
            seconds=seconds,
            commit=commit,
            error=error,
        )
        self.trials.append(trial)
        search_record.write(self._record, self.search, self.trials)
        return trial

    def done(self) -> list[Trial]:
        """The trials with a log loss on val, the best first; of equal ones the earlier first."""
        scored = [(trial.val_log_loss, trial.number, trial) for trial in self.trials if trial.val_log_loss is not None]
        return [trial for _, _, trial in sorted(scored, key=lambda row: row[:2])]


def _commit_of(name: str) -> str:
    return programs.output("git", "rev-parse", f"{revisions.experiment_ref()}/{name}").strip()
