"""Kill the pipeline at random moments, restart it, and compare the result with that of an uninterrupted run.

The tests do this with a few kills; `python -m tests.killing --kills 50` does it with more.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import yaml
from tqdm import tqdm

from tests import small_project

_OUTPUTS = ("data", "metrics", "logs", ".dvc/cache", ".dvc/tmp")
_MAX_SECONDS = 10.0  # from the start of a stage to the kill


def clean(folder: Path) -> None:
    """Remove everything that a run writes: outputs, cache, lock file, checkpoints."""
    for name in _OUTPUTS:
        shutil.rmtree(folder / name, ignore_errors=True)
    for path in (folder / "models").iterdir():
        if path.name != "pretrained":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / "dvc.lock").unlink(missing_ok=True)
    small_project.run(folder, "git", "restore", "metrics", "data")  # advice and decisions are inputs


class Moment(NamedTuple):
    """When to kill: `seconds` after the start of the stage that follows `stages` others."""

    stages: int
    seconds: float


def attempt(folder: Path, moment: Moment | None) -> tuple[bool, str]:
    """Run `dvc repro`, and kill it with all its children at `moment`; None lets it finish.

    Returns whether it finished, and the stage that ran last. Raises RuntimeError if it fails.
    """
    log = folder / "repro.log"
    with log.open("w") as stream:
        process = subprocess.Popen(
            ["dvc", "repro"],
            cwd=folder,
            env=small_project.environment(),
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    while process.poll() is None and (moment is None or len(started(log)) <= moment.stages):
        time.sleep(0.02)
    try:
        code = process.wait(moment.seconds if moment else None)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        code = None
    if code:
        raise RuntimeError(f"dvc repro: expected exit code 0, found {code}:\n{log.read_text(errors='replace')[-3000:]}")
    return code == 0, (started(log) or ["before any stage"])[-1]


def started(log: Path) -> list[str]:
    """The stages that a run started, from its log."""
    return small_project.started_stages(log.read_text(errors="replace"))


def hashes(folder: Path) -> dict[str, object]:
    """The entries of dvc.lock: for every stage its parameters and the hashes of its dependencies and outputs."""
    return dict(yaml.safe_load((folder / "dvc.lock").read_text())["stages"])


class Survival(NamedTuple):
    """The number of kills by stage, the number of repaired lock files, and whether each finished run has `equal`
    hashes to those of an uninterrupted one.
    """

    killed: Counter[str]
    repaired: int
    equal: list[bool]


def survive(folder: Path, kills: int, seed: int) -> Survival:
    """Kill the run in `folder` `kills` times; whenever a run finishes, the next one starts from scratch.

    Each run starts like `make repro`, with the repair of lock files.
    """
    rng, killed, repaired, equal = random.Random(seed), Counter[str](), 0, list[bool]()
    clean(folder)
    attempt(folder, None)
    expected = hashes(folder)
    clean(folder)
    with tqdm(total=kills, unit="kill", desc="killing") as bar:
        while killed.total() < kills or not equal or (folder / "dvc.lock").is_file():
            moment = Moment(rng.randrange(3), rng.uniform(0, _MAX_SECONDS)) if killed.total() < kills else None
            repaired += len(small_project.run(folder, "python", "-m", "stages", "repair_lock").splitlines())
            has_finished, stage = attempt(folder, moment)
            killed[stage] += not has_finished
            bar.update(not has_finished)
            if has_finished:
                equal.append(hashes(folder) == expected)
                clean(folder)
    return Survival(+killed, repaired, equal)


def main() -> None:
    """Print the kills by stage, and how many runs finished with the hashes of an uninterrupted one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "project"
        small_project.make(folder)
        result = survive(folder, arguments.kills, arguments.seed)
    for stage, count in result.killed.most_common():
        print(f"{count:4d} kills in {stage}")
    finished = f"{sum(result.equal)} of {len(result.equal)} runs finished with equal hashes"
    print(f"killing: {result.killed.total()} kills, seed {arguments.seed}, {result.repaired} repaired; {finished}")


if __name__ == "__main__":
    main()
