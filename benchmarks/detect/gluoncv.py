"""GluonCV's CenterNet-ResNet50 on mxnet as a contender of the benchmarks; run it to make its environment."""

import argparse
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from stages.core import cores, environment

_WORKER = Path(__file__).parents[1] / "pretrained" / "gluoncv" / "detection_worker.py"


@contextmanager
def worker(python: Path, photos: list[Path], is_tuned: bool) -> Iterator[Callable[[], float]]:
    """Start a worker in GluonCV's environment; a call is one pass over the photos, timed by the worker.

    With default settings, or `is_tuned`: one thread per core, and memory kept between calls.
    """
    command = [str(python), str(_WORKER), *(["--static"] if is_tuned else []), *map(str, photos)]
    variables = os.environ | ({"OMP_NUM_THREADS": str(cores.available())} if is_tuned else {})
    pipe = partial(subprocess.Popen, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=variables)
    with pipe(command) as process:

        def run() -> float:
            if process.stdin is None or process.stdout is None:
                raise RuntimeError("the worker has no pipes")
            process.stdin.write("run\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"{python}: expected the worker to reply, found that it ended; its message is above")
            return float(line)

        yield run
        process.communicate()


def main() -> None:
    """Make the environment, if it is not there; `python -m benchmarks` then measures GluonCV, too."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environment", type=Path, default=Path(".venv-gluoncv"), help="created if missing")
    parser.add_argument("--requirements", type=Path, default=Path("requirements-gluoncv.lock"))
    arguments = parser.parse_args()
    print(environment.ensure(arguments.environment, arguments.requirements))


if __name__ == "__main__":
    main()
