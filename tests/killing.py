"""Kill the pipeline at random moments, start it again, and see whether it ends as if nothing had happened.

`python -m tests.killing --kills 50` is the long version of what the suite does with a few.
"""

import argparse
import os
import random
import re
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
_LONGEST = 10.0  # seconds from the beginning of a stage to its end by force


def clean(folder: Path) -> None:
    """Take away all that a run made: outputs, cache, lock file, checkpoints."""
    for name in _OUTPUTS:
        shutil.rmtree(folder / name, ignore_errors=True)
    for path in (folder / "models").iterdir():
        if path.name != "pretrained":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (folder / "dvc.lock").unlink(missing_ok=True)


class Moment(NamedTuple):
    """When to kill: so many seconds after the stage began that comes after so many others."""

    stages: int
    seconds: float


def attempt(folder: Path, moment: Moment | None) -> tuple[bool, str]:
    """Let `dvc repro` run to that moment, then kill it with all that it started; to its end where there is none.

    Whether it had come to its end, and the stage that ran last. Raises RuntimeError when it fails by itself.
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
    while process.poll() is None and (moment is None or len(begun(log)) <= moment.stages):
        time.sleep(0.02)
    try:
        code = process.wait(moment.seconds if moment else None)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        code = None
    if code:
        raise RuntimeError(f"dvc repro: expected exit code 0, found {code}:\n{log.read_text(errors='replace')[-3000:]}")
    return code == 0, (begun(log) or ["before any stage"])[-1]


def begun(log: Path) -> list[str]:
    """The stages that a run began, by its log."""
    return re.findall(r"Running stage '([^']+)'", log.read_text(errors="replace"))


def hashes(folder: Path) -> dict[str, object]:
    """What DVC knows of every stage: its parameters and the hashes of all that it read and wrote."""
    return dict(yaml.safe_load((folder / "dvc.lock").read_text())["stages"])


class Survival(NamedTuple):
    """How often each stage was `killed`, how often DVC's own files were `mended`, and of each run that ended, the
    undisturbed last one too, whether its hashes were `equal` to those of a run that nothing disturbed.
    """

    killed: Counter[str]
    mended: int
    equal: list[bool]


def survive(folder: Path, kills: int, seed: int) -> Survival:
    """Kill the run in `folder` that often, from nothing on again and again whenever it ends.

    Each begins as `make repro` does, by mending what DVC may have left half written.
    """
    rng, killed, mended, equal = random.Random(seed), Counter[str](), 0, list[bool]()
    clean(folder)
    attempt(folder, None)
    expected = hashes(folder)
    clean(folder)
    with tqdm(total=kills, unit="kill", desc="killing") as bar:
        while killed.total() < kills or not equal or (folder / "dvc.lock").is_file():
            moment = Moment(rng.randrange(3), rng.uniform(0, _LONGEST)) if killed.total() < kills else None
            mended += len(small_project.run(folder, "python", "-m", "stages.commands.repair_lock").splitlines())
            has_ended, stage = attempt(folder, moment)
            killed[stage] += not has_ended
            bar.update(not has_ended)
            if has_ended:
                equal.append(hashes(folder) == expected)
                clean(folder)
    return Survival(+killed, mended, equal)


def main() -> None:
    """Print where the kills fell and how many runs ended with the hashes of an undisturbed one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "project"
        small_project.make(folder)
        found = survive(folder, arguments.kills, arguments.seed)
    for stage, count in found.killed.most_common():
        print(f"{count:4d} kills in {stage}")
    ended = f"{sum(found.equal)} of {len(found.equal)} runs ended with equal hashes"
    print(f"killing: {found.killed.total()} kills, seed {arguments.seed}, {found.mended} mended; {ended}")


if __name__ == "__main__":
    main()
