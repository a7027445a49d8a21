"""Seconds per photo of a student's bundle beside the ensemble's: from the file to the class, and of the models alone.

The models alone get inputs made before, with the test-time augmentation of the bundles. All take turns, round by round.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import timing
from stages.commands import trained_ensemble
from stages.commands.trained_ensemble import Ensemble
from stages.core import command, cores


def from_file(ensemble: Ensemble, contents: list[bytes]) -> Callable[[], object]:
    """What predicts photos from their bytes."""
    return lambda: list(ensemble.predict(contents, bytes))


def classifiers(ensemble: Ensemble, contents: list[bytes]) -> Callable[[], object]:
    """What predicts the inputs of the models, made now from the bytes of photos."""
    made = [inputs.images for _, inputs in ensemble.predict_with_inputs(contents, bytes)]
    shown = [images for images in made if images is not None]
    stacked = {name: np.stack([images[name] for images in shown]) for name in shown[0]}
    return lambda: ensemble.classify(stacked)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ensemble", type=Path, metavar="ENSEMBLE", help="bundle of the ensemble")
    parser.add_argument("student", type=Path, metavar="STUDENT", help="bundle of a student")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="photos, JPEG files")
    parser.add_argument("--photos", type=int, default=32, help="default: 32")
    parser.add_argument("--rounds", type=int, default=5, help="default: 5")
    args = parser.parse_args()
    files = sorted(args.folder.rglob("*.jpg"))
    contents = [path.read_bytes() for path in files[:: max(1, len(files) // args.photos)][: args.photos]]
    names = {"ensemble": args.ensemble, "student": args.student}
    loaded = {name: trained_ensemble.of_bundle(path).load() for name, path in names.items()}
    whole, alone = {}, {}
    for name, ensemble in loaded.items():
        whole[name] = timing.stopwatch(from_file(ensemble, contents))
        alone[name] = timing.stopwatch(classifiers(ensemble, contents))
    for title, contenders in {"From the file to the class": whole, "The models alone": alone}.items():
        seconds = timing.interleaved(contenders, args.rounds)
        table = timing.compare(seconds, len(contents), "ensemble")
        timing.show(
            table, f"{title}, {len(contents)} photos, {args.rounds} rounds, {cores.available()} cores; s per photo"
        )


if __name__ == "__main__":
    command.run(main)
