"""As `dvc repro`, with stages that do not depend on each other side by side.

DVC runs one stage after another. Here a stage starts when all that it depends on is done, at most JOBS at a time; a
stage that only waits for one other runs in the same process as that one. What a stage writes does not depend on it: it
may use all cores, as alone, for the last digits of a training depend on the number of its threads.
"""

import argparse
import re
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import NoReturn

import psutil
from tqdm import tqdm

from stages.commands import stage_graph
from stages.core import command, cores, programs, progress
from stages.core.programs import ProgramError

TARGET = "dvc.yaml"
# Of a training, with a cache of 2,000 MB.
_BYTES_PER_STAGE = 4 * 2**30
_SHARE = re.compile(r"\d+%(?=\|)")
# What DVC says at the end of each process.
_HINT = "Use `dvc push`"
_STARTED = re.compile(r"Running stage '([^']+)'")
_DVC_REPRO = (sys.executable, "-m", "dvc", "--wait-for-lock", "repro")


class Schedule:
    """Which stages to run when; `upstream` maps each stage, in the order of runs, to all that it depends on."""

    def __init__(self, upstream: Mapping[str, set[str]]) -> None:
        self._waiting = dict(upstream)
        self._done: set[str] = set()

    def take(self) -> list[str]:
        """A stage that can start, followed by those that wait for nothing else, one by one; empty if none can start.

        The chain ends where two stages could follow: they can run side by side.
        """
        ready = self._ready(self._done)
        chain = ready[:1]
        while chain:
            following = [name for name in self._ready(self._done | set(chain)) if name not in (*ready, *chain)]
            if len(following) != 1:
                break
            chain += following
        for name in chain:
            del self._waiting[name]
        return chain

    def finish(self, chain: list[str]) -> None:
        """Take note that a chain is done."""
        self._done |= set(chain)

    def _ready(self, done: set[str]) -> list[str]:
        return [name for name, before in self._waiting.items() if before <= done]


def run_all(
    upstream: Mapping[str, set[str]],
    jobs: int,
    run_chain: Callable[[list[str]], None],
    on_change: Callable[[list[list[str]], int], None],
) -> list[ProgramError]:
    """Run all stages, `jobs` chains at a time; return the errors. After one no other chain starts.

    `on_change` is called with the chains that run now, and the number of stages that are done.
    """
    schedule, n_done = Schedule(upstream), 0
    errors: list[ProgramError] = []
    running: dict[Future[None], list[str]] = {}
    with ThreadPoolExecutor(jobs) as pool:
        while True:
            starting = [] if errors else _take_chains(schedule, jobs - len(running))
            running |= {pool.submit(run_chain, chain): chain for chain in starting}
            on_change(list(running.values()), n_done)
            if not running:
                return errors
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                chain = running.pop(future)
                error = future.exception()
                if error is None:
                    schedule.finish(chain)
                    n_done += len(chain)
                elif isinstance(error, ProgramError):
                    errors.append(error)
                else:
                    raise error


def _take_chains(schedule: Schedule, limit: int) -> list[list[str]]:
    """At most `limit` chains that can start now."""
    chains: list[list[str]] = []
    while len(chains) < limit and (chain := schedule.take()):
        chains.append(chain)
    return chains


def default_jobs(n_cores: int, free_bytes: int) -> int:
    """One job more than there are cores, as long as each has 4 GiB of memory; at least one.

    Stages start, read and write for seconds in which they leave a core to another one.
    """
    return max(1, min(n_cores + 1, free_bytes // _BYTES_PER_STAGE))


class Display:
    """One bar of all stages, below the lines that they print; it names those that run, with the share that is done."""

    def __init__(self, bar: "tqdm[NoReturn]") -> None:
        self._bar = bar
        self._running: dict[str, str] = {}

    def on_change(self, running: list[list[str]], n_done: int) -> None:
        """Show the chains that run now, by the first stage until another one starts, and the number of stages done."""
        self._bar.n = n_done
        known = {name for chain in running for name in chain}
        self._running = {name: share for name, share in self._running.items() if name in known}
        self._refresh()

    def run(self, chain: list[str]) -> None:
        """Run a chain in one DVC process; each line gets the name of its stage. Raises ProgramError."""
        current = chain[0]

        def on_line(line: str) -> None:
            nonlocal current
            if started := _STARTED.search(line):
                self._running.pop(current, None)
                current = started[1]
                self._running[current] = ""
            if not line.startswith(_HINT):
                self._bar.write(f"{current} | {line}", file=sys.stderr)

        def on_state(state: str) -> None:
            if share := _SHARE.search(state):
                self._running[current] = f" {share[0]}"
                self._refresh()

        programs.run_streamed(*_DVC_REPRO, "--single-item", *chain, on_line=on_line, on_state=on_state)

    def _refresh(self) -> None:
        self._bar.set_postfix_str(", ".join(f"{name}{share}" for name, share in [*self._running.items()]))


def main() -> None:
    """Run what is not up to date; exit with 1 if a stage failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", default=[TARGET], help=f"stages, or files of them; default: {TARGET}")
    parser.add_argument(
        "--jobs", type=int, help="stages at a time; default: one more than cores, with 4 GiB of memory each"
    )
    arguments = parser.parse_args()
    default = default_jobs(cores.available(), psutil.virtual_memory().available)
    jobs = default if arguments.jobs is None else arguments.jobs
    if jobs < 1:
        parser.error(f"--jobs: expected 1 or more, found {jobs}")
    # Stages that run each time come first: only then is it known what else has to.
    always = stage_graph.read(arguments.targets).always
    if always:
        programs.run(*_DVC_REPRO, *always, env=command.environment())
    graph = stage_graph.read(arguments.targets)
    affected = graph.affected()
    upstream = {name: graph.upstream[name] & set(affected) for name in affected}
    layout = "{desc}: {n_fmt} of {total_fmt} stages, {elapsed}{postfix}"
    with tqdm(total=len(affected), desc="parallel_repro", bar_format=layout, file=sys.stderr) as bar:
        display = Display(bar)
        errors = run_all(upstream, jobs, display.run, display.on_change)
    for error in errors:
        print(f"parallel_repro: {error}", file=sys.stderr)
    n_current = len(graph.upstream) - len(affected)
    progress.summary("parallel_repro", stages=len(affected), up_to_date=n_current, failed=len(errors), jobs=jobs)
    sys.exit(1 if errors else 0)


if __name__ == "__main__":
    command.run(main)
