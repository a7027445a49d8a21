"""DVC experiments as tasks of a Ray cluster: each runs in a clone of its own and comes home as a DVC experiment.

The commit goes to the workers as a Git bundle, and the reference of an experiment comes back as one. Outputs go through
the DVC remote, or through this project's cache where workers have it by the same path.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

from dvc.exceptions import DvcException
from dvc.repo import Repo

from stages.commands import revisions
from stages.commands.grid import Run
from stages.core import atomic, command, settings
from stages.core.errors import UserError
from stages.core.programs import ProgramError, output, run_logged
from stages.core.runtime_settings import RuntimeSettings
from stages.networks import cluster
from stages.networks.cluster import ClusterError

# What runs of one machine share: photos are decoded, and networks run, once.
CACHES = (Path("logs/inference_cache"), Path("logs/inspection_cache"))
# Ray runs a task again this often where its worker dies or its node is lost.
_RETRIES = 3
_POLL_SECONDS = 2.0
_RAY_VARIABLES = ("RAY_ADDRESS", "PYTHONPATH")


class ClusterRunError(UserError):
    """An experiment failed on the cluster."""


class Place(NamedTuple):
    """What a task takes, and where its clone and its data lie.

    `cache` is the folder of the DVC cache that all machines share, or empty: then workers use the DVC remote. `folder`
    is the workers' own, or empty: then it lies among temporary files.
    """

    cpus: int
    gpus: float
    cache: str
    folder: str
    settings: RuntimeSettings


class Outcome(NamedTuple):
    """What a task returns: a Git bundle of the experiment, or why there is none; and the log of `dvc exp run`."""

    reference: bytes
    error: str
    log: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of runs on a cluster."""
    parser.add_argument(
        "--engine", choices=["local", "ray"], default="local", help="where runs are made; ray: on that of RAY_ADDRESS"
    )
    parser.add_argument("--cpus", type=int, help="with ray: cores of a run; default: `runtime.threads`")
    parser.add_argument("--gpus", type=float, default=0, help="with ray: GPUs of a run; default: 0")
    parser.add_argument(
        "--shares-cache",
        action="store_true",
        help="with ray: workers have this project's DVC cache by the same path; else they use the DVC remote",
    )
    parser.add_argument("--worker-folder", default="", help="with ray: where clones and data lie on the workers")


def place_of(arguments: argparse.Namespace) -> Place | None:
    """Where runs are made by the options of `add_arguments`; None for this machine. Raises SettingsError."""
    if arguments.engine == "local":
        return None
    runtime = settings.read(Path("params.yaml"), "runtime", RuntimeSettings)
    cache = output(sys.executable, "-m", "dvc", "cache", "dir").strip() if arguments.shares_cache else ""
    folder = str(Path(cache).absolute()) if cache else ""
    return Place(arguments.cpus or runtime.threads, arguments.gpus, folder, arguments.worker_folder, runtime)


def run_all(runs: list[Run], target: str, place: Place, logs: Path) -> Iterator[tuple[Run, ClusterRunError | None]]:
    """Make the runs on the cluster; yield each run when it ends, with its error if it failed.

    Raises ClusterError if there is no cluster, or for `runtime.cluster_timeout` seconds no node that a run fits.
    """
    if not runs:
        return
    with cluster.session(place.settings) as ray:
        repository = ray.put(_bundle("HEAD"))
        options = {"num_cpus": place.cpus, "num_gpus": place.gpus, "max_retries": _RETRIES}
        remote = ray.remote(**options)(run_one)
        tasks = {remote.remote(run, target, place, repository): run for run in runs}
        while tasks:
            done = _first_done(ray, list(tasks), place)
            run = tasks.pop(done)
            yield run, _bring_home(ray, done, run, place, logs)


def _first_done(ray: Any, tasks: list[Any], place: Place) -> Any:
    """The first of `tasks` that is done; a run takes as long as it takes, while a node has the room for it."""
    deadline = time.monotonic() + place.settings.cluster_timeout
    while True:
        done, _ = ray.wait(tasks, num_returns=1, timeout=_POLL_SECONDS)
        if done:
            return done[0]
        own = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if any(node.get("CPU", 0) >= place.cpus and node.get("GPU", 0) >= place.gpus for node in own):
            deadline = time.monotonic() + place.settings.cluster_timeout
        elif time.monotonic() > deadline:
            raise ClusterError(
                f"expected a node with {place.cpus} cores and {place.gpus:g} GPUs within "
                f"{place.settings.cluster_timeout} s (runtime.cluster_timeout), found none; start one and run the same "
                "command again, which runs only what is missing"
            )


def _bring_home(ray: Any, done: Any, run: Run, place: Place, logs: Path) -> ClusterRunError | None:
    errors = ray.exceptions
    try:
        outcome: Outcome = ray.get(done)
    except (errors.WorkerCrashedError, errors.OutOfMemoryError, errors.NodeDiedError):
        return ClusterRunError(f"{run.name}: {cluster.WORKER_DIED}: {1 + _RETRIES} workers ended in it, or their nodes")
    except errors.RayTaskError as error:
        return ClusterRunError(f"{run.name}: {command.one_line(error.cause)}")
    log = logs / f"{run.name}.log"
    atomic.write_text(log, outcome.log)
    if outcome.error:
        return ClusterRunError(f"{run.name}: {outcome.error}; see {log}")
    reference = f"{revisions.experiment_ref()}/{run.name}"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "experiment.bundle")
        path.write_bytes(outcome.reference)
        output("git", "fetch", "--quiet", path, reference)
    commit = output("git", "rev-parse", "FETCH_HEAD").strip()
    if not place.cache:
        try:
            with closing(Repo(_wait_for_lock=True)) as repo:
                repo.fetch(revs=[commit], workspace=False)
        except DvcException as error:
            return ClusterRunError(f"{run.name}: expected its outputs in the DVC remote, found: {error}")
    # Last: only an experiment with its outputs counts as made.
    output("git", "update-ref", reference, commit)
    return None


def _bundle(*revisions_: str, folder: Path = Path()) -> bytes:
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary, "bundle")
        output("git", "bundle", "create", "--quiet", path, *revisions_, folder=folder)
        return path.read_bytes()


def use_cache(cache: Path, clone: Path) -> None:
    """Give a clone the DVC cache of other runs, which put files into it at the same time.

    DVC empties and removes a file of the cache for a moment where another process has just put it there (3.67, the
    `reflink` of dvc_objects.fs.system, on file systems that have none). With copies a run needs no file from the cache
    that it has put there itself.
    """
    dvc = (sys.executable, "-m", "dvc")
    output(*dvc, "cache", "dir", "--local", cache, folder=clone)
    output(*dvc, "config", "--local", "cache.type", "copy", folder=clone)


def share(folder: Path, link: Path) -> None:
    """Make `folder`, where it is missing, and a link to it."""
    folder.mkdir(parents=True, exist_ok=True)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(folder.absolute())


# What follows runs in the workers.


def run_one(run: Run, target: str, place: Place, repository: bytes) -> Outcome:
    """Make one run in a new clone, which is removed at the end; what fails in it is the outcome's error."""
    base = Path(place.folder or Path(tempfile.gettempdir(), f"dvc-experiments-{os.getuid()}"))
    base.mkdir(parents=True, exist_ok=True)
    # A folder for each attempt: a run whose worker was killed may still be writing into its own.
    folder = Path(tempfile.mkdtemp(prefix=f"{run.name}-", dir=base))
    log = folder / "run.log"
    try:
        return Outcome(_run_in_clone(run, target, place, repository, folder), "", log.read_text(errors="replace"))
    except (ProgramError, OSError) as error:
        text = log.read_text(errors="replace") if log.is_file() else ""
        return Outcome(b"", command.one_line(error).removesuffix(f"; see {log}"), text)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run_in_clone(run: Run, target: str, place: Place, repository: bytes, folder: Path) -> bytes:
    clone = folder / "clone"
    (folder / "repository.bundle").write_bytes(repository)
    output("git", "init", "--quiet", clone)
    output("git", "fetch", "--quiet", folder / "repository.bundle", "HEAD", folder=clone)
    output("git", "checkout", "--quiet", "-B", "experiments", "FETCH_HEAD", folder=clone)
    dvc = (sys.executable, "-m", "dvc")
    # All runs of a machine share its caches: stages that ran, and results of single photos, are found there.
    use_cache(Path(place.cache or folder.parent / "cache"), clone)
    for cached in CACHES:
        share(folder.parent / cached.name, clone / cached)
    output(*dvc, "checkout" if place.cache else "pull", "--quiet", "--allow-missing", folder=clone)
    words = [word for override in _overrides(run, place) for word in ("-S", override)]
    # Ray's own paths and address are not for the run.
    environment = {name: value for name, value in command.environment().items() if name not in _RAY_VARIABLES}
    line = (*dvc, "exp", "run", "--name", run.name, *words, target)
    run_logged(*line, folder=clone, env=environment, log=folder / "run.log")
    if not place.cache:
        output(*dvc, "push", "--quiet", folder=clone)
    commit = output("git", "rev-parse", "FETCH_HEAD", folder=clone).strip()
    return _bundle(f"{revisions.ref_of(commit)}/{run.name}", f"^{commit}", folder=clone)


def _overrides(run: Run, place: Place) -> tuple[str, ...]:
    """The run's parameters; its networks run in its own task: on the cluster they would wait for cores of runs."""
    return (*run.overrides, "runtime.engine=local") if place.settings.engine == "ray" else run.overrides
