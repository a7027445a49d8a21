"""Read every section of params.yaml before any stage works for hours on half of them.

The file that it writes never changes, so that stages which wait for it do not run again when a parameter of
another stage changes.
"""

import argparse
from pathlib import Path

from stages.audit.settings import AuditParams
from stages.classifiers.settings import ModelParams
from stages.core import atomic, command, params, progress
from stages.detect.settings import DetectParams
from stages.ensemble.settings import EnsembleParams
from stages.evaluate.settings import TtaParams
from stages.ingest.settings import IngestParams
from stages.mask.settings import MaskParams, check_segmenters
from stages.probe.settings import ProbeParams
from stages.report.settings import ReportParams
from stages.resize.settings import ResizeParams
from stages.sample.settings import SampleParams
from stages.segment.settings import SegmenterParams, SegmentParams
from stages.selection.main_car import CropParams
from stages.train.settings import TrainParams

SECTIONS: dict[str, type] = {
    "sample": SampleParams,
    "ingest": IngestParams,
    "detect": DetectParams,
    "crop": CropParams,
    "segment": SegmentParams,
    "mask": MaskParams,
    "resize": ResizeParams,
    "train": TrainParams,
    "probe": ProbeParams,
    "tta": TtaParams,
    "ensemble": EnsembleParams,
    "audit": AuditParams,
    "report": ReportParams,
}
# Sections with any number of entries of one kind, each under a name of the user's choice.
NAMED: dict[str, type] = {"segmenters": SegmenterParams, "models": ModelParams}


def check_sections(path: Path) -> int:
    """Check every section of `path` and every model; the number of models. Raises params.ParamError."""
    content = params.load(path)
    for name, cls in SECTIONS.items():
        params.read(path, name, cls)
    known = [*SECTIONS, *NAMED]
    strangers = sorted(set(map(str, content)) - set(known))
    if strangers:
        raise params.ParamError(f"{path}: unknown section `{strangers[0]}`; known: {', '.join(known)}")
    for section, cls in NAMED.items():
        entries = content.get(section)
        if not isinstance(entries, dict) or not entries:
            raise params.ParamError(f"{path}: {section}: expected at least one entry, found {entries!r}")
        for name in entries:
            params.read(path, f"{section}.{name}", cls)
    check_segmenters(path, params.read(path, "mask", MaskParams))
    return len(content["models"])


def main() -> None:
    """Check, and leave a mark that does not change."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--params", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    n_models = check_sections(arguments.params)
    atomic.write_text(arguments.out, "Every section of params.yaml was read.\n")
    progress.summary("check", sections=len(SECTIONS), models=n_models)


if __name__ == "__main__":
    command.run(main)
