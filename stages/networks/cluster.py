"""Networks on a Ray cluster: items go out in chunks, as Ray tasks; this process alone writes what comes back.

Ray places the tasks, runs those of a lost node or a killed worker again elsewhere, and keeps the worker processes, of
which each loads the network once. A cluster on this machine starts where the environment variable RAY_ADDRESS names
none. Ray's processes trust each other: they exchange pickles.
"""

import logging
import os
import shutil
import socket
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import stages
from stages.core import cores
from stages.core.batches import batched
from stages.core.errors import UserError
from stages.core.result_cache import digest_of
from stages.core.runtime_settings import RuntimeSettings
from stages.networks import runtime
from stages.networks.settings import InferenceSettings

WORKER_DIED = "worker_died"
# Chunks for each worker on their way, so that it never waits for this process.
_AHEAD = 2
# Ray runs a task again this often where its worker dies or its node is lost.
_RETRIES = 3
_STORE_BYTES = 2**30
_POLL_SECONDS = 1.0
_HERE = "a local Ray cluster"
_PACKAGE = Path(stages.__file__).parent


class ClusterError(UserError):
    """The cluster cannot be reached, returns nothing in time, or has workers of several kinds."""


class Item(NamedTuple):
    """What one output is computed from: its key, and what the job's function takes; pickled."""

    key: str
    content: Any


class Result(NamedTuple):
    """The output for an item; None where it cannot be read, with the reason `worker_died` where it kills its worker."""

    key: str
    output: bytes | None
    reason: str = ""


class Job(NamedTuple):
    """What workers do: `load` makes a model of a folder with the `files`, `run` applies it to a chunk of items.

    `files` are paths relative to `folder`, here and on the workers, which get copies. Both functions are of modules of
    this package, or partials of them. `name` tells jobs with the same files apart.
    """

    name: str
    folder: Path
    files: tuple[str, ...]
    load: Callable[[Path], Any]
    run: Callable[[Any, list[Item]], list[tuple[str, bytes]]]


class Cluster:
    """A connected cluster; `kind` is what `runtime.describe_runtime` says on the first worker that runs."""

    def __init__(self, inference: InferenceSettings, settings: RuntimeSettings) -> None:
        import ray

        self._inference, self._settings, self._ray = inference, settings, ray
        # A task for each worker, so that all start at once; the first result counts.
        kind = self._remote(_kind)
        tasks = [kind.remote(inference) for _ in range(self._n_workers())]
        self.kind: Mapping[str, str] = self._get(self._first_done(tasks))

    def run(self, job: Job, items: Iterable[Item], chunk_size: int) -> Iterator[Result]:
        """Yield a result for each item, in any order.

        The items of a chunk that kills its worker are tried one by one. Raises ClusterError, and what `job` raises.
        """
        paths = [job.folder / name for name in job.files]
        files = self._ray.put({name: np.fromfile(path, np.uint8) for name, path in zip(job.files, paths)})
        key = f"{job.name} {digest_of(paths)}"
        errors = self._ray.exceptions
        # An item alone gets two attempts: the first one's node may have been lost.
        run_chunk, run_single = self._remote(_run), self._remote(_run, retries=1)
        coming, single = batched(items, chunk_size), deque[Item]()
        tasks: dict[Any, list[Item]] = {}
        while True:
            while len(tasks) < _AHEAD * self._n_workers() and (chunk := _next(single, coming)):
                remote = run_chunk if len(chunk) > 1 else run_single
                tasks[remote.remote(job, key, files, self._inference, self.kind, chunk)] = chunk
            if not tasks:
                return
            done = self._first_done(list(tasks))
            chunk = tasks.pop(done)
            try:
                outputs = dict(self._get(done))
            except (errors.WorkerCrashedError, errors.OutOfMemoryError, errors.NodeDiedError):
                if len(chunk) > 1:
                    single += chunk
                else:
                    yield Result(chunk[0].key, None, WORKER_DIED)
                continue
            yield from (Result(item.key, outputs.get(item.key)) for item in chunk)

    def _get(self, done: Any) -> Any:
        """The result of a task. Raises what the task raised, ClusterError, or Ray's error of a dead worker or node."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(done)
        except (errors.WorkerCrashedError, errors.OutOfMemoryError, errors.NodeDiedError):
            raise
        except errors.RayTaskError as error:
            if isinstance(error.cause, ImportError):
                raise ClusterError(
                    f"{_address()}: expected workers with the packages of requirements.lock, found: {error.cause}"
                ) from None
            raise error.cause from None
        except errors.RayError as error:
            raise ClusterError(f"{_address()}: expected workers that start, found: {error}") from None

    def _n_workers(self) -> int:
        total = self._ray.cluster_resources()
        return max(1, int(total.get("GPU", 0) or total.get("CPU", 1)))

    def _remote(self, function: Callable[..., Any], retries: int = _RETRIES) -> Any:
        """`function` as a Ray task on one core, or on one card and its share of the cores."""
        total = self._ray.cluster_resources()
        n_cards = int(total.get("GPU", 0))
        n_cores = max(1, int(total.get("CPU", 1)) // n_cards) if n_cards else 1
        return self._ray.remote(num_cpus=n_cores, num_gpus=min(n_cards, 1), max_retries=retries)(function)

    def _first_done(self, tasks: list[Any]) -> Any:
        """The first of `tasks` that is done. Raises ClusterError after `runtime.cluster_timeout` seconds."""
        seconds = self._settings.cluster_timeout
        done, _ = self._ray.wait(tasks, num_returns=1, timeout=seconds)
        if done:
            return done[0]
        n_nodes = sum(node["Alive"] and node["Resources"].get("CPU", 0) > 0 for node in self._ray.nodes())
        raise ClusterError(
            f"{_address()}: expected a result of a worker within {seconds} s (runtime.cluster_timeout), found none; "
            f"Ray knows of {n_nodes} nodes with cores, perhaps lost ones; start nodes and run the same command again, "
            "which runs only what is missing"
        )


@contextmanager
def connect(inference: InferenceSettings, settings: RuntimeSettings) -> Iterator[Cluster]:
    """Connect to a cluster as `session` does, for networks. Raises ClusterError."""
    with session(settings):
        yield Cluster(inference, settings)


@contextmanager
def session(settings: RuntimeSettings) -> Iterator[Any]:
    """Connect to the cluster that RAY_ADDRESS names, or start one on this machine; leave it at the end. Yield `ray`.

    Its workers get a copy of this code and `runtime.reproducibility`. Raises ClusterError.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    is_local = _address() == _HERE
    if is_local:
        # Ray's name for a setting that keeps a cluster, on Linux too, to 127.0.0.1: else its nodes listen everywhere.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        import ray
    except ImportError as error:
        raise ClusterError(
            f"expected the package ray of requirements.lock for the engine `ray`, found: {error}; install it, or take "
            "the engine `local`"
        ) from None
    deadline = time.monotonic() + settings.cluster_timeout
    options: dict[str, Any] = {}
    if is_local:
        options = {"address": "local", "num_cpus": cores.available(), "object_store_memory": _STORE_BYTES}
        options["include_dashboard"] = False
    else:
        _require_listener(_address(), deadline, settings.cluster_timeout)
    with tempfile.TemporaryDirectory() as folder:
        environment = {"working_dir": str(_copy_code(Path(folder))), "env_vars": _kernel_variables()}
        try:
            ray.init(runtime_env=environment, log_to_driver=False, logging_level=logging.ERROR, **options)
        except (OSError, RuntimeError, ValueError) as error:
            raise ClusterError(f"{_address()}: expected a Ray cluster of this version, found: {error}") from None
        try:
            yield ray
        finally:
            ray.shutdown()


@contextmanager
def connect_if_ray(inference: InferenceSettings, settings: RuntimeSettings) -> Iterator[Cluster | None]:
    """As `connect` where `runtime.engine` is `ray`, else None."""
    if settings.engine == "local":
        yield None
        return
    with connect(inference, settings) as cluster:
        yield cluster


def _address() -> str:
    return os.environ.get("RAY_ADDRESS") or _HERE


def _require_listener(address: str, deadline: float, seconds: int) -> None:
    """Wait for a listener, for minutes if need be. Ray itself would wait for one without end.

    Raises ClusterError after the deadline.
    """
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not colon or not port.isdigit():
        if address == "auto":
            return
        raise ClusterError(f"RAY_ADDRESS: expected host:port, ray://host:port or auto, found {address!r}")
    while True:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
            return
        except OSError as error:
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"{address}: expected a Ray cluster within {seconds} s (runtime.cluster_timeout), found: {error}; "
                    "start it, or correct RAY_ADDRESS"
                ) from None
        time.sleep(_POLL_SECONDS)


def _next(single: deque[Item], coming: Iterator[list[Item]]) -> list[Item]:
    return [single.popleft()] if single else next(coming, [])


def _copy_code(folder: Path) -> Path:
    """Write this package, and the settings that decide on kernels, into `folder`, the workers' working directory."""
    shutil.copytree(_PACKAGE, folder / _PACKAGE.name, ignore=shutil.ignore_patterns("__pycache__"))
    text = f"runtime: {{reproducibility: {stages.reproducibility()}}}\n"
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    return folder


def _kernel_variables() -> dict[str, str]:
    """The variables that restrict kernels here: workers need them before Ray imports NumPy."""
    names = stages.kernel_variables("avx2 avx512f", stages.BITS)
    return {name: os.environ[name] for name in names if name in os.environ}


# What follows runs in the workers.

_loaded: dict[str, Any] = {}


def _kind(inference: InferenceSettings) -> dict[str, str]:
    return runtime.describe_runtime(inference)


def _run(
    job: Job,
    key: str,
    files: Mapping[str, np.ndarray],
    inference: InferenceSettings,
    kind: Mapping[str, str],
    chunk: list[Item],
) -> list[tuple[str, bytes]]:
    """Run a chunk; the model of the last job stays loaded. Raises ClusterError on a worker of another kind."""
    if key not in _loaded:
        own = _kind(inference)
        differing = [f"{name} {kind[name]} and {own[name]}" for name in kind if kind[name] != own[name]]
        if differing:
            raise ClusterError(
                f"{socket.gethostname()}: expected workers of one kind, found {'; '.join(differing)}: their outputs "
                "differ; use nodes of one kind"
            )
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                content.tofile(path)
            _loaded.clear()
            _loaded[key] = job.load(Path(folder))
    return job.run(_loaded[key], chunk)
