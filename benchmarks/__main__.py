"""Measure every step of the pipeline beside what a user would have otherwise and beside the bare limit.

Prints one table and writes benchmarks/results.json.
"""

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.suite import machine, project, results
from benchmarks.suite.dvc_stages import ROOT
from benchmarks.suite.parts import PARTS, Contender, Part
from benchmarks.suite.processes import ContenderError, Worker
from stages.core import atomic, command, json_file
from stages.core.errors import UserError

# Long enough for the idle threads of one contender to sleep before the next one starts.
_PAUSE = 0.5
_STARTED = time.perf_counter()


def say(text: str) -> None:
    """Print progress to standard error, with the seconds since the start."""
    print(f"bench {time.perf_counter() - _STARTED:5.0f} s: {text}", file=sys.stderr, flush=True)


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, joined by commas; default: all")
    parser.add_argument(
        "--photos",
        type=int,
        default=192,
        help="of each step; with few, what a stage takes to start weighs more; default: 192",
    )
    parser.add_argument("--photos-from", type=Path, metavar="FOLDER", help="default: the project's rendered sample")
    parser.add_argument("--rounds", type=int, default=5, help="of every contender, after one to warm up; default: 5")
    parser.add_argument("--params", type=Path, default=ROOT / "params.yaml", help="default: the project's")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results.json")
    args = parser.parse_args(words)
    args.only = args.only.split(",")
    if unknown := [name for name in args.only if name not in PARTS]:
        parser.error(f"--only: expected parts among {', '.join(PARTS)}; found {unknown[0]}")
    if args.rounds < 1 or args.photos < 8:
        parser.error("expected at least one round and 8 photos")
    return args


def measure(part: Part, base: Path, folder: Path, args: argparse.Namespace) -> list[results.Row]:
    """The rows of a part. Contenders take turns in each round; each has its process and its copy of the project."""
    rounds: dict[str, results.Rounds] = {}
    reasons: dict[str, str] = {}
    with ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for contender in part.contenders:
            say(f"{part.name}: {contender.title}, start and warm-up")
            own = folder / contender.name
            project.copy(base, own, contender.reproducibility)
            workers[contender.name] = stack.enter_context(Worker(contender.work, own))
            _round(workers[contender.name], contender, {}, reasons, is_first=True)
        for number in range(args.rounds):
            say(f"{part.name}: round {number + 1} of {args.rounds}")
            for contender in part.contenders:
                _round(workers[contender.name], contender, rounds, reasons)
    return [results.row(contender, rounds, reasons) for contender in part.contenders]


def _round(
    worker: Worker,
    contender: Contender,
    rounds: dict[str, results.Rounds],
    reasons: dict[str, str],
    *,
    is_first: bool = False,
) -> None:
    """Append the figures of a round, or note why there are none."""
    if contender.name in reasons:
        return
    time.sleep(_PAUSE)
    try:
        rounds.setdefault(contender.name, []).append(worker.round(is_first=is_first))
    except ContenderError as error:
        reasons[contender.name] = str(error)
        say(f"{contender.title}: {error}")


def measure_all(args: argparse.Namespace, root: Path) -> dict[str, dict[str, Any]]:
    """The measured parts by name; a part that fails has rows with the reason."""
    parts: dict[str, dict[str, Any]] = {}
    source = args.photos_from or project.render_sample(say)
    # A name, not a path: paths say nothing on another machine.
    facts = {"photos_from": source.resolve().name if args.photos_from else "sample", "rounds": args.rounds}
    base, chosen = root / "project", [PARTS[name] for name in args.only]
    photos = project.choose_photos(source, args.photos)
    project.create(base, photos, args.params)
    if "mask_step" not in args.only:
        project.keep_one_segmenter(base)
    reasons = _prepare(base, chosen)
    for part in chosen:
        try:
            if reason := reasons.get(part.needs_models, ""):
                raise ContenderError(reason)
            rows = measure(part, base, root / part.name, args)
        except (ContenderError, OSError) as error:
            rows = results.failed(part, command.one_line(error))
        parts[part.name] = facts | {"photos": len(photos), "date": machine.now(), "rows": rows}
    return parts


def _prepare(base: Path, parts: list[Part]) -> dict[bool, str]:
    """Run the stages in `base`; the reason why parts cannot be measured, by whether they need models."""
    try:
        project.run_stages(base, say)
    except ContenderError as error:
        return {False: f"preparation failed: {error}", True: f"preparation failed: {error}"}
    try:
        if any(part.needs_models for part in parts):
            project.make_models(base, say)
    except ContenderError as error:
        return {True: f"preparation failed: {error}"}
    return {}


def read_earlier(path: Path) -> dict[str, Any]:
    """The results of an earlier run; none where there is no such file or it is damaged."""
    try:
        return json_file.read(path)
    except UserError:
        return {}


def main() -> None:
    """Measure, print the table, write the results."""
    args = arguments()
    say(f"{len(args.only)} parts: {', '.join(args.only)}")
    header = {"machine": machine.describe(), "commit": machine.commit(), "date": machine.now()}
    with tempfile.TemporaryDirectory(prefix="bench") as folder:
        parts = measure_all(args, Path(folder))
    made = results.complete(header, parts, read_earlier(args.out))
    atomic.write_json(args.out, made)
    print(results.table(made))
    say(f"written: {args.out}")


if __name__ == "__main__":
    command.run(main)
