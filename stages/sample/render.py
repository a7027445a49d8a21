"""Render the embedded sample: photos, true boxes and true masks."""

import argparse
import multiprocessing
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from stages.core import atomic, command, cores, progress, tables
from stages.core.errors import UserError
from stages.core.settings import read as read_settings
from stages.sample.renderer import sample
from stages.sample.settings import SampleSettings


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--params", type=Path, required=True, help="params.yaml with a section `sample`")
    parser.add_argument("--photos", type=Path, required=True, help="folder for the photos, one folder per class")
    parser.add_argument("--masks", type=Path, required=True, help="folder for the true masks")
    parser.add_argument("--truth", type=Path, required=True, help="CSV file for the true boxes")
    parser.add_argument(
        "--jobs", type=int, default=cores.available(), help="number of processes; default: one per CPU core"
    )
    return parser.parse_args(argv)


def rendered_files(tasks: list[sample.RenderTask], settings: SampleSettings, jobs: int) -> Iterator[sample.Rendered]:
    """The rendered files in the order of the tasks, made by `jobs` processes."""
    make = partial(sample.make, settings=settings)
    if jobs <= 1:
        yield from map(make, tasks)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=context)
    # Ctrl-C reaches every process. Workers inherit that it is ignored, so that only this process handles it.
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        results = pool.map(make, tasks, chunksize=4)
    finally:
        signal.signal(signal.SIGINT, handler)
    try:
        yield from results
    finally:
        pool.shutdown(cancel_futures=True)


def require_no_unexpected_files(folder: Path, expected: set[Path]) -> None:
    """Raise UserError if `folder` contains files that this run would not overwrite."""
    unexpected = sorted(path for path in folder.rglob("*") if path.is_file() and path not in expected)
    if unexpected:
        raise UserError(
            f"{folder}: expected only files of the sample, found {unexpected[0]}; choose another folder or remove it"
        )


def write_all(args: argparse.Namespace, settings: SampleSettings) -> list[sample.Rendered]:
    """Render and write every photo and mask; return them without the bytes of the files."""
    tasks = sample.tasks(settings.photos_per_class)
    require_no_unexpected_files(args.photos, {args.photos / task.path for task in tasks})
    require_no_unexpected_files(args.masks, {args.masks / task.path.with_suffix(".png") for task in tasks})
    written = []
    for item in progress.track(rendered_files(tasks, settings, args.jobs), len(tasks), "photo", "render"):
        atomic.write_bytes(args.photos / item.task.path, item.photo)
        if item.mask is not None:
            atomic.write_bytes(args.masks / item.task.path.with_suffix(".png"), item.mask)
        written.append(sample.Rendered(item.task, b"", None, item.box, item.visible))
    return written


def main(argv: list[str] | None = None) -> None:
    """Render and write the photos, the masks and the true boxes."""
    args = parse_args(argv)
    settings = read_settings(args.params, "sample", SampleSettings)
    rendered = write_all(args, settings)
    tables.write(args.truth, sample.ground_truth(rendered))
    n_regular = sum(item.task.kind == "car" for item in rendered)
    progress.summary("render", photos=len(rendered), regular=n_regular, special=len(rendered) - n_regular)


if __name__ == "__main__":
    command.run(main)
