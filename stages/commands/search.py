"""Search for parameters by the log loss on val; Optuna proposes trials.

Each trial is a DVC experiment `<name>-<number>` on the last commit, made as by `python -m stages experiment`; trial 0
has the defaults. Trials that ended are not repeated, so a search that was stopped goes on. When the budget is used up,
the best trial and the defaults are compared on test.
"""

import argparse
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple, NoReturn

from tqdm import tqdm

from stages.commands import comparison, experiment, search_sampler, search_scores, search_space, search_table
from stages.commands.experiment import ExperimentError
from stages.commands.grid import Run
from stages.commands.search_record import Trial
from stages.commands.search_session import Proposal, Session
from stages.core import atomic, command, progress, tables

_LOGS = Path("logs/experiments")
# With fewer trials importances are those of chance: the first ten are at random.
_MIN_FOR_IMPORTANCES = 30


class Ended(NamedTuple):
    """The seconds that a run took, and why it failed, or an empty text."""

    seconds: float
    error: str


def run_trials(session: Session, jobs: int) -> list[Trial]:
    """Run trials, `jobs` at a time, until the budget is used up; return those that failed."""
    failed, running = list[Trial](), dict[Future[Ended], Proposal]()
    free: SimpleQueue[Path] = SimpleQueue()
    for number in range(session.n_workers(jobs)):
        free.put(experiment.make_worker(number))

    def work(run: Run) -> Ended:
        folder, start = free.get(), time.monotonic()
        try:
            experiment.run_one(run, session.search.target, folder)
        except ExperimentError as error:
            return Ended(time.monotonic() - start, str(error))
        finally:
            free.put(folder)
        return Ended(time.monotonic() - start, "")

    with _bar(session) as bar, ThreadPoolExecutor(jobs) as pool:
        while True:
            while len(running) < jobs and not session.is_used_up(len(running)):
                proposal = session.propose(list(running.values()))
                running[pool.submit(work, session.run_of(*proposal))] = proposal
            if not running:
                return failed
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                trial = session.add(running.pop(future), *future.result())
                failed += [trial] if trial.error else []
                _show(bar, session, trial)


def _bar(session: Session) -> "tqdm[NoReturn]":
    n_done, total = len(session.trials), session.search.budget.trials
    bar: tqdm[NoReturn] = tqdm(total=total, initial=n_done, unit="trial", desc=session.name, file=sys.stderr)
    bar.set_postfix(used(session))
    return bar


def _show(bar: "tqdm[NoReturn]", session: Session, trial: Trial) -> None:
    loss = trial.val_log_loss
    bar.write(trial.error if loss is None else f"{session.name_of(trial.number)}: val log loss {loss:.4f}", sys.stderr)
    bar.set_postfix(used(session), refresh=False)
    bar.update()


def used(session: Session) -> dict[str, str]:
    """What of the budget is used, by unit: `{"trials": "12 of 50", "hours": "3.10"}`."""
    budget, n_trials = session.search.budget, len(session.trials)
    trials = f"{n_trials} of {budget.trials}" if budget.trials else str(n_trials)
    hours = f"{session.hours():.2f}" + (f" of {budget.hours:g}" if budget.hours else "")
    return {"trials": trials, "hours": hours}


def test_text(session: Session) -> str:
    """What test says of the best trial and the defaults, the only ones of which it is looked at."""
    best, search = session.done()[0], session.search
    default = next((trial for trial in session.done() if trial.number == 0), None)
    if default is None:
        return "The trial with the defaults failed, so the best one has nothing to be compared with on test."
    if best is default:
        return "No trial has a lower log loss on val than the defaults, so test was not looked at."
    outcomes, baseline = (search_scores.test_outcomes(trial.commit, search) for trial in (best, default))
    n_photos = len(outcomes.index.intersection(baseline.index))
    if not n_photos:
        return "There are no test photos to compare the best trial and the defaults on."
    return search_table.test_line(best.number, n_photos, comparison.differences(outcomes, baseline))


def write_table(session: Session, out: Path, stem: str) -> str:
    """Write `<stem>.csv` and `<stem>.md`, the best trial first, failed ones last; return what test says.

    Without a trial that has a log loss on val, nothing is written, and the text is empty.
    """
    done, search = session.done(), session.search
    if not done:
        return ""
    trials = done + [trial for trial in session.trials if trial.val_log_loss is None]
    tables.write(out / f"{stem}.csv", search_table.table(trials, search))
    test = test_text(session)
    importances = search_sampler.importances(search, done) if len(done) >= _MIN_FOR_IMPORTANCES else {}
    atomic.write_text(out / f"{stem}.md", search_table.markdown(session.name, search, trials, test, importances))
    return test


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("search", type=Path, help="a YAML file such as experiments/search.yaml")
    parser.add_argument("--jobs", type=int, default=1, help="trials at a time, each with `runtime.threads`; default: 1")
    parser.add_argument("--retry-failed", action="store_true", help="run trials in place of those that failed")
    parser.add_argument("--out", type=Path, default=Path("metrics/experiments"), help="folder of the table")
    args = parser.parse_args()
    if args.jobs < 1:
        parser.error(f"--jobs: expected 1 or more, found {args.jobs}")
    return args


def main() -> None:
    """Run the trials that the budget allows, write the table; exit with 1 if a trial failed."""
    args = arguments()
    search, stem = search_space.read(args.search), args.search.stem
    experiment.require_commit()
    _LOGS.mkdir(parents=True, exist_ok=True)
    session = Session(args.search, search, _LOGS / f"{stem}.json", args.retry_failed)
    failed = run_trials(session, args.jobs)
    if test := write_table(session, args.out, stem):
        print(test)
    n_done = len(session.done())
    progress.summary(f"search {session.name}", done=n_done, failed=len(session.trials) - n_done, **used(session))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    command.run(main)
