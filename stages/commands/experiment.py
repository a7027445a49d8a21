"""Answer a question by experiments: every arm of a grid with every seed, and a table of what came out.

Each run is a DVC experiment on the last commit, done in a clone beside the working tree that shares its cache, so
that nothing here moves meanwhile. Runs that are there already are not done again, so a broken session goes on.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue

from tqdm import tqdm

from stages.commands import compare, comparison, grid
from stages.commands.grid import Grid, Run
from stages.core import atomic, command, progress, tables

_WORKERS = Path(".dvc/tmp/experiments")
_LOGS = Path("logs/experiments")
_INFERENCE_CACHE = Path("logs/inference_cache")


class ExperimentError(RuntimeError):
    """Runs cannot begin, or one of them failed."""


def run_command(*words: str | Path, folder: Path = Path()) -> str:
    """Run a command in `folder` and return what it prints. Raises ExperimentError with its last line of error."""
    done = subprocess.run([str(word) for word in words], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
        raise ExperimentError(f"{' '.join(map(str, words))}: {''.join(last)}")
    return done.stdout


def require_commit() -> None:
    """Raise ExperimentError unless the last commit holds everything: that is what the runs are made from."""
    changed = run_command("git", "status", "--porcelain", "--untracked-files=no").splitlines()
    if changed:
        raise ExperimentError(f"expected everything committed, found a change: `{changed[0]}`; commit or stash it")


def experiment_ref() -> str:
    """Where Git keeps the experiments that were made from the last commit."""
    commit = run_command("git", "rev-parse", "HEAD").strip()
    return f"refs/exps/{commit[:2]}/{commit[2:]}"


def existing_runs() -> set[str]:
    """The names of the experiments that were made from the last commit."""
    return set(run_command("git", "for-each-ref", "--format=%(refname:lstrip=4)", experiment_ref()).split())


def make_worker(number: int) -> Path:
    """Make a clone of the last commit with this tree's DVC cache and whatever of the outputs lies there."""
    folder = _WORKERS / str(number)
    if folder.exists():
        shutil.rmtree(folder)
    run_command("git", "clone", "--quiet", "--shared", ".", folder)
    settings = Path(".dvc/config.local")
    if settings.is_file():
        shutil.copy(settings, folder / settings)
    cache = run_command(sys.executable, "-m", "dvc", "cache", "dir").strip()
    run_command(sys.executable, "-m", "dvc", "cache", "dir", "--local", Path(cache).absolute(), folder=folder)
    run_command(sys.executable, "-m", "dvc", "checkout", "--quiet", "--allow-missing", folder=folder)
    # All workers share the inference cache: runs with the same images run inference once.
    _INFERENCE_CACHE.mkdir(parents=True, exist_ok=True)
    (folder / _INFERENCE_CACHE).parent.mkdir(exist_ok=True)
    (folder / _INFERENCE_CACHE).symlink_to(_INFERENCE_CACHE.absolute())
    return folder


def run_one(run: Run, target: str, folder: Path) -> None:
    """Do one run in a worker's folder, fetch the experiment. Raises ExperimentError naming the log of a failed run."""
    run_command("git", "reset", "--quiet", "--hard", folder=folder)
    settings = [word for override in run.overrides for word in ("-S", override)]
    words = [sys.executable, "-m", "dvc", "exp", "run", "--name", run.name, *settings, target]
    log = _LOGS / f"{run.name}.log"
    with log.open("w", encoding="utf-8") as stream:
        done = subprocess.run(words, cwd=folder, env=command.environment(), stdout=stream, stderr=stream, check=False)
    if done.returncode:
        raise ExperimentError(f"{run.name}: expected exit code 0, found {done.returncode}; see {log}")
    # This one alone: what else DVC keeps in refs/exps is the worker's own affair.
    found = f"{experiment_ref()}/{run.name}"
    run_command("git", "fetch", "--quiet", folder, f"{found}:{found}")


def run_all(wanted: list[Run], target: str, n_workers: int) -> Iterator[tuple[Run, ExperimentError | None]]:
    """Do the runs in `n_workers` clones at a time; yield each when it is done, with its error if it failed."""
    free: SimpleQueue[Path] = SimpleQueue()
    for number in range(min(n_workers, len(wanted))):
        free.put(make_worker(number))

    def work(run: Run) -> None:
        folder = free.get()
        try:
            run_one(run, target, folder)
        finally:
            free.put(folder)

    with ThreadPoolExecutor(n_workers) as pool:
        waiting = {pool.submit(work, run): run for run in wanted}
        try:
            for done in as_completed(waiting):
                error = done.exception()
                if error is not None and not isinstance(error, ExperimentError):
                    raise error
                yield waiting[done], error
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def write_table(name: str, asked: Grid, out: Path) -> int:
    """Write the table of the runs that are there as `<name>.csv` and `<name>.md`; return how many runs it tells of.

    Without any, nothing is written.
    """
    done = existing_runs()
    present = [run for run in grid.runs(name, asked) if run.name in done]
    if not present:
        return 0
    answers = {(run.arm, run.seed): compare.test_outcomes(run.name, asked.predictions) for run in present}
    table = comparison.table(answers, asked)
    tables.write(out / f"{name}.csv", table)
    atomic.write_text(out / f"{name}.md", comparison.markdown(table, asked, name))
    return len(present)


def run_missing(runs: list[Run], target: str, jobs: int, name: str) -> list[ExperimentError]:
    """Do those of `runs` that are not there yet, `jobs` at a time; return the errors of those that failed."""
    _LOGS.mkdir(parents=True, exist_ok=True)
    done, errors = existing_runs(), []
    wanted = [run for run in runs if run.name not in done]
    bar = tqdm(run_all(wanted, target, jobs), total=len(wanted), unit="run", desc=name)
    for run, error in bar:
        bar.write(str(error) if error else f"{run.name}: done", file=sys.stderr)
        errors += [error] if error else []
    return errors


def run_grid(path: Path, jobs: int, out: Path) -> list[ExperimentError]:
    """Do what is missing of one grid and write its table; return the errors of the runs that failed."""
    name, asked = path.stem, grid.read(path)
    errors = run_missing(grid.runs(name, asked), asked.target, jobs, name)
    progress.summary(f"experiment {name}", runs=write_table(name, asked, out), failed=len(errors))
    return errors


def main() -> None:
    """Ask the questions of all grids named; exit with 1 if a run failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("grids", type=Path, nargs="+", metavar="GRID", help="YAML files such as those in experiments/")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time; `train.threads` are each run's own")
    parser.add_argument("--out", type=Path, default=Path("metrics/experiments"))
    arguments = parser.parse_args()
    require_commit()
    errors = [error for path in arguments.grids for error in run_grid(path, arguments.jobs, arguments.out)]
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    command.run(main)
