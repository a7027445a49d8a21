"""Score boxes and masks of the sample, or remove its figures.

They are scored against the rendered truth if `ingest.source` is the sample. With other photos the figures of the
sample would stand beside results that they do not belong to.
"""

import argparse
import shutil
import sys
from pathlib import Path

from stages.core import command, programs, progress, settings
from stages.sources.settings import SourceSettings

_PIPELINE = "data/sample/dvc.yaml"
_PHOTOS = Path("data/sample/photos")
_FIGURES = (Path("metrics/sample.json"), Path("metrics/sample"))


def is_sample(source: str) -> bool:
    """Whether a source is the rendered sample, or a part of it."""
    return "://" not in source and Path(source).resolve().is_relative_to(_PHOTOS.resolve())


def remove(paths: tuple[Path, ...]) -> list[Path]:
    """Remove files and folders; return those that there were."""
    present = [path for path in paths if path.exists()]
    for path in present:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return present


def main() -> None:
    """Run the stage of the sample, or remove its figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="default: params.yaml")
    source = settings.read(parser.parse_args().params, "ingest", SourceSettings, subset=True).source
    if is_sample(source):
        programs.run(sys.executable, "-m", "dvc", "repro", _PIPELINE)
    elif removed := remove(_FIGURES):
        progress.summary("score_sample", files_of_the_sample_removed=len(removed))


if __name__ == "__main__":
    command.run(main)
