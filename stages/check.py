"""Check every section of params.yaml before the long stages run.

The file that it writes never changes, so that stages which wait for it do not run again when a parameter of
another stage changes.
"""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stages.audit.settings import AuditSettings
from stages.classifiers.settings import ModelSettings
from stages.core import atomic, command, progress, settings, system
from stages.core.runtime_settings import RuntimeSettings
from stages.core.settings import Settings, SettingsError
from stages.crop.settings import CropSettings
from stages.detect.settings import DetectSettings
from stages.ensemble.settings import EnsembleSettings
from stages.evaluate.settings import TtaSettings
from stages.ingest.settings import IngestSettings
from stages.mask.settings import MaskSettings, check_segmenters
from stages.probe.settings import ProbeSettings
from stages.report.settings import ReportSettings
from stages.resize.settings import ResizeSettings
from stages.sample.settings import SampleSettings
from stages.segment.settings import SegmenterSettings, SegmentSettings
from stages.submission.settings import SubmissionSettings
from stages.train.settings import TrainSettings

SECTIONS: dict[str, type[Settings]] = {
    "runtime": RuntimeSettings,
    "sample": SampleSettings,
    "ingest": IngestSettings,
    "detect": DetectSettings,
    "crop": CropSettings,
    "segment": SegmentSettings,
    "mask": MaskSettings,
    "resize": ResizeSettings,
    "train": TrainSettings,
    "probe": ProbeSettings,
    "tta": TtaSettings,
    "ensemble": EnsembleSettings,
    "submission": SubmissionSettings,
    "audit": AuditSettings,
    "report": ReportSettings,
}
# Sections with any number of entries of one kind, each under a name of the user's choice.
NAMED: dict[str, type[Settings]] = {"segmenters": SegmenterSettings, "models": ModelSettings}
# What `metrics` would use beyond AVX2, by the CPU's name for it; each makes networks or training clearly faster.
_WIDE = {"avx512f": "AVX-512", "avx512_bf16": "bf16", "amx_bf16": "AMX"}


def check_sections(path: Path) -> int:
    """Check every section of `path` and every model; return the number of models. Raises SettingsError."""
    content = settings.load(path)
    for name, model in SECTIONS.items():
        settings.read(path, name, model)
    unknown = sorted(set(map(str, content)) - {*SECTIONS, *NAMED})
    if unknown:
        raise SettingsError(f"{path}: unknown section `{unknown[0]}`; known: {', '.join([*SECTIONS, *NAMED])}")
    for section, model in NAMED.items():
        entries = content.get(section)
        if not isinstance(entries, dict) or not entries:
            raise SettingsError(f"{path}: {section}: expected at least one entry, found {entries!r}")
        for name in entries:
            settings.read(path, f"{section}.{name}", model)
    check_segmenters(path, settings.read(path, "mask", MaskSettings))
    return len(content["models"])


def unused_hardware(runtime: RuntimeSettings, cpu: Mapping[str, Any], n_cores: int) -> str:
    """Say in one line what of this machine `runtime.reproducibility: bits` leaves unused; empty if nothing."""
    if runtime.reproducibility != "bits":
        return ""
    unused = [name for feature, name in _WIDE.items() if feature in cpu["features"]]
    if n_cores > runtime.threads:
        unused.append(f"{n_cores} cores in place of {runtime.threads} for training")
    if not unused:
        return ""
    return (
        f"`runtime.reproducibility: metrics` would use {', '.join(unused)}: faster, and figures then agree with "
        "other machines within a tolerance only"
    )


def main() -> None:
    """Check, and write a file that does not change."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--params", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    n_models = check_sections(arguments.params)
    runtime = settings.read(arguments.params, "runtime", RuntimeSettings)
    if hint := unused_hardware(runtime, system.this_cpu(), os.cpu_count() or 1):
        print(f"check: {hint}")
    atomic.write_text(arguments.out, "Every section of params.yaml was read.\n")
    progress.summary("check", sections=len(SECTIONS), models=n_models)


if __name__ == "__main__":
    command.run(main)
