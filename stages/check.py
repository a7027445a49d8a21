"""Read every section of params.yaml and look at the source before any stage works for hours on half of them.

The file that it writes never changes, so that stages which wait for it do not run again when a parameter of
another stage changes.
"""

import argparse
from pathlib import Path

from stages.imaging.detection import DetectParams
from stages.imaging.segmentation import SegmentParams
from stages.imaging.selection import CropParams
from stages.ingest import IngestParams, list_files
from stages.learning.blend import EnsembleParams
from stages.learning.recipe import ModelParams, TrainParams
from stages.records import atomic, params, progress
from stages.rendering.sample import SampleParams
from stages.reporting.settings import ReportParams
from stages.resize import ResizeParams

SECTIONS: dict[str, type] = {
    "sample": SampleParams,
    "ingest": IngestParams,
    "detect": DetectParams,
    "crop": CropParams,
    "segment": SegmentParams,
    "resize": ResizeParams,
    "train": TrainParams,
    "ensemble": EnsembleParams,
    "report": ReportParams,
}


def check_sections(path: Path) -> int:
    """Check every section of `path` and every model; the number of models. Raises params.ParamError."""
    content = params.load(path)
    for name, cls in SECTIONS.items():
        params.read(path, name, cls)
    strangers = sorted(set(map(str, content)) - {*SECTIONS, "models"})
    if strangers:
        raise params.ParamError(f"{path}: unknown section `{strangers[0]}`; known: {', '.join([*SECTIONS, 'models'])}")
    models = content.get("models")
    if not isinstance(models, dict) or not models:
        raise params.ParamError(f"{path}: models: expected at least one model, found {models!r}")
    for name in models:
        params.read(path, f"models.{name}", ModelParams)
    return len(models)


def main() -> None:
    """Check, and leave a mark that does not change."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--params", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    n_models = check_sections(arguments.params)
    settings = params.read(arguments.params, "ingest", IngestParams)
    files = list_files(Path(settings.source))
    atomic.write_text(arguments.out, "Every section of params.yaml was read, and the source has files.\n")
    progress.summary("check", sections=len(SECTIONS), models=n_models, files=len(files))


if __name__ == "__main__":
    main()
