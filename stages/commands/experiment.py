"""Run grids of experiments: every arm with every seed, and a table.

Each run is a DVC experiment on the last commit, made in a clone that shares the cache, so the working tree does not
change. Existing runs are not repeated, so an interrupted session continues. With `--engine ray` runs are tasks of a
Ray cluster.
"""

import argparse
import shutil
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue

from tqdm import tqdm

from stages.commands import clustered_experiments, compare, comparison, grid, revisions
from stages.commands.clustered_experiments import Place
from stages.commands.grid import Grid, Run
from stages.core import atomic, command, progress, tables
from stages.core.errors import UserError
from stages.core.programs import ProgramError, output, run_logged

_WORKERS = Path(".dvc/tmp/experiments")
_LOGS = Path("logs/experiments")


class ExperimentError(UserError):
    """Runs cannot start, or one of them failed."""


def require_commit() -> None:
    """Raise ExperimentError if a tracked file has changed since the last commit: runs start from the commit."""
    changed = output("git", "status", "--porcelain", "--untracked-files=no").splitlines()
    if changed:
        raise ExperimentError(f"expected a clean working tree, found a change: `{changed[0]}`; commit or stash it")


def make_worker(number: int) -> Path:
    """Clone the last commit with this project's DVC cache, and check out the outputs that are in the cache."""
    folder = _WORKERS / str(number)
    if folder.exists():
        shutil.rmtree(folder)
    output("git", "clone", "--quiet", "--shared", ".", folder)
    local_config = Path(".dvc/config.local")
    if local_config.is_file():
        shutil.copy(local_config, folder / local_config)
    cache = output(sys.executable, "-m", "dvc", "cache", "dir").strip()
    clustered_experiments.use_cache(Path(cache).absolute(), folder)
    output(sys.executable, "-m", "dvc", "checkout", "--quiet", "--allow-missing", folder=folder)
    for cached in clustered_experiments.CACHES:
        clustered_experiments.share(cached, folder / cached)
    return folder


def run_one(run: Run, target: str, folder: Path) -> None:
    """Make one run in a worker's folder and fetch the experiment. Raises ExperimentError, which names the log."""
    output("git", "reset", "--quiet", "--hard", folder=folder)
    options = [word for override in run.overrides for word in ("-S", override)]
    words = [sys.executable, "-m", "dvc", "exp", "run", "--name", run.name, *options, target]
    try:
        run_logged(*words, folder=folder, env=command.environment(), log=_LOGS / f"{run.name}.log")
    except ProgramError as error:
        raise ExperimentError(f"{run.name}: {error}") from None
    # Only this reference: DVC keeps others in refs/exps that belong to the worker.
    ref = f"{revisions.experiment_ref()}/{run.name}"
    output("git", "fetch", "--quiet", folder, f"{ref}:{ref}")


def run_all(runs: list[Run], target: str, n_workers: int) -> Iterator[tuple[Run, ExperimentError | None]]:
    """Make the runs in `n_workers` clones; yield each run when it ends, with its error if it failed."""
    free: SimpleQueue[Path] = SimpleQueue()
    for number in range(min(n_workers, len(runs))):
        free.put(make_worker(number))

    def work(run: Run) -> None:
        folder = free.get()
        try:
            run_one(run, target, folder)
        finally:
            free.put(folder)

    with ThreadPoolExecutor(n_workers) as pool:
        waiting = {pool.submit(work, run): run for run in runs}
        try:
            for future in as_completed(waiting):
                error = future.exception()
                if error is not None and not isinstance(error, ExperimentError):
                    raise error
                yield waiting[future], error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def write_table(name: str, plan: Grid, out: Path) -> int:
    """Write the table of the existing runs as `<name>.csv` and `<name>.md`; return the number of runs.

    Without any, nothing is written.
    """
    existing = revisions.existing_runs()
    finished = [run for run in grid.runs(name, plan) if run.name in existing]
    if not finished:
        return 0
    outcomes = {(run.arm, run.seed): compare.test_outcomes(run.name, plan.predictions) for run in finished}
    table = comparison.table(outcomes, plan)
    tables.write(out / f"{name}.csv", table)
    atomic.write_text(out / f"{name}.md", comparison.markdown(table, plan, name))
    return len(finished)


def run_missing(runs: list[Run], target: str, jobs: int, name: str, place: Place | None = None) -> list[UserError]:
    """Make those of `runs` that do not exist; return the errors of those that failed.

    They are made `jobs` at a time on this machine, or at a `place` of a Ray cluster.
    """
    _LOGS.mkdir(parents=True, exist_ok=True)
    existing, errors = revisions.existing_runs(), list[UserError]()
    missing = [run for run in runs if run.name not in existing]
    made: Iterable[tuple[Run, UserError | None]] = (
        clustered_experiments.run_all(missing, target, place, _LOGS) if place else run_all(missing, target, jobs)
    )
    bar = tqdm(made, total=len(missing), unit="run", desc=name)
    for run, error in bar:
        bar.write(str(error) if error else f"{run.name}: done", file=sys.stderr)
        errors += [error] if error else []
    return errors


def run_grid(path: Path, jobs: int, out: Path, place: Place | None = None) -> list[UserError]:
    """Make the missing runs of one grid and write its table; return the errors of the runs that failed."""
    name, plan = path.stem, grid.read(path)
    errors = run_missing(grid.runs(name, plan), plan.target, jobs, name, place)
    progress.summary(f"experiment {name}", runs=write_table(name, plan, out), failed=len(errors))
    return errors


def main() -> None:
    """Run the grids named on the command line; exit with 1 if a run failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("grids", type=Path, nargs="+", metavar="GRID", help="YAML files such as those in experiments/")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time, each with `runtime.threads`; default: 1")
    parser.add_argument("--out", type=Path, default=Path("metrics/experiments"), help="folder of the tables")
    clustered_experiments.add_arguments(parser)
    arguments = parser.parse_args()
    require_commit()
    place = clustered_experiments.place_of(arguments)
    errors = [error for path in arguments.grids for error in run_grid(path, arguments.jobs, arguments.out, place)]
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    command.run(main)
