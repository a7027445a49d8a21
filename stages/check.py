"""Check every section of params.yaml before the long stages run.

The file that it writes never changes, so that stages which wait for it do not run again when a parameter of
another stage changes.
"""

import argparse
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from stages.audit.settings import AuditSettings
from stages.classifiers import catalogue
from stages.classifiers.settings import RANDOM_WEIGHTS, ModelSettings, TeachSettings
from stages.core import atomic, command, cores, progress, settings, system
from stages.core.runtime_settings import RuntimeSettings
from stages.core.settings import Settings, SettingsError
from stages.core.settings_errors import suggestion
from stages.crop.settings import CropSettings
from stages.detect.settings import DetectSettings
from stages.ensemble.settings import EnsembleSettings
from stages.evaluate.settings import TtaSettings
from stages.images.settings import InputSettings, read_used
from stages.ingest.settings import IngestSettings
from stages.mask.settings import MaskSettings, check_segmenters
from stages.networks.catalogue import DETECTORS
from stages.novelty.settings import NoveltySettings
from stages.probe.settings import ProbeSettings
from stages.report.settings import ReportSettings
from stages.resize.settings import ResizeSettings
from stages.sample.settings import SampleSettings
from stages.segment.settings import SegmenterSettings, SegmentSettings
from stages.submission.settings import SubmissionSettings
from stages.train.settings import TrainSettings, resolve

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
    "novelty": NoveltySettings,
    "teach": TeachSettings,
    "submission": SubmissionSettings,
    "audit": AuditSettings,
    "report": ReportSettings,
}
# Sections with any number of entries of one kind, each under a name of the user's choice.
NAMED: dict[str, type[Settings]] = {
    "segmenters": SegmenterSettings,
    "inputs": InputSettings,
    "models": ModelSettings,
    "students": ModelSettings,
}
# Those of them that may have none.
MAY_BE_EMPTY = ("students",)
# Names stand in commands, in names of files, and in DVC's paths of parameters and stages.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_MAX_NAME = 64
_WEIGHTS_FILE = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)*")
# What else is kept where a model's files would be, or is shown beside models.
_RESERVED = {
    "pretrained": "models/pretrained holds the pretrained networks",
    "ensemble": "tables and charts show the ensemble under this name",
    "inference_cache": "logs/inference_cache holds outputs of networks",
    "inspection_cache": "logs/inspection_cache holds what ingest found in each file",
    "shards": "logs/shards holds what the shards of archives were made from",
    "experiments": "logs/experiments holds logs of experiments",
    "students": "models/students holds the trained students",
}
# What follows the name of a model in the names of further files of data/probes.
_OF_PROBES = {"_distances": "distances", "_map": "the map"}
# Sides of a segmenter's input in pixels: with less OpenVINO cannot run U2-Net, with more memory runs out.
_SEGMENTER_SIDES = (32, 2048)
# What `metrics` would use beyond AVX2, by the CPU's name for it; each makes networks or training clearly faster.
_WIDE = {"avx512f": "AVX-512"}  # bf16 and AMX are for those who ask for them by `inference.precision`


def check_sections(path: Path) -> int:
    """Check every section of `path`, every model and what one section requires of another.

    Returns the number of models. Raises SettingsError.
    """
    content = settings.load(path)
    sections: dict[str, Any] = {name: settings.read(path, name, model) for name, model in SECTIONS.items()}
    unknown = sorted(set(map(str, content)) - {*SECTIONS, *NAMED})
    if unknown:
        raise SettingsError(f"{path}: unknown section `{unknown[0]}`; known: {', '.join([*SECTIONS, *NAMED])}")
    for section, model in NAMED.items():
        entries = content.get(section)
        if not isinstance(entries, dict) or not (entries or section in MAY_BE_EMPTY):
            expected = "entries, or {}" if section in MAY_BE_EMPTY else "at least one entry"
            raise SettingsError(f"{path}: {section}: expected {expected}, found {entries!r}")
        _at(path, check_names, section, entries)
        sections[section] = {name: settings.read(path, f"{section}.{name}", model) for name in entries}
    check_segmenters(path, sections["mask"])
    read_used(path)
    _at(path, check_rules, sections)
    for section in ("models", "students"):
        for name, model in sections[section].items():
            _at(path, check_model, f"{section}.{name}", model, sections, path.parent / "models" / "pretrained")
    return len(sections["models"])


def _at(path: Path, rule: Callable[..., None], *arguments: Any) -> None:
    try:
        rule(*arguments)
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}") from None


def check_names(section: str, names: Iterable[str]) -> None:
    """Check the names of models or segmenters: safe everywhere, and no file of one is that of another."""
    known: dict[str, str] = {}
    for name in names:
        if not _NAME.fullmatch(name) or len(name) > _MAX_NAME:
            proposal = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_-")[:_MAX_NAME] or section[:-1]
            raise SettingsError(
                f"{section}: expected a name of at most {_MAX_NAME} of a-z, A-Z, 0-9, `_` and `-` that begins with a "
                f"letter or digit, found {name!r}; call it `{proposal}`"
            )
        lower = name.lower()
        if lower in known:
            raise SettingsError(
                f"{section}: expected names that differ by more than upper and lower case, found `{known[lower]}` and "
                f"`{name}`; on some systems they are one file"
            )
        known[lower] = name
    if section == "models":
        _check_model_names(known)


def _check_model_names(known: Mapping[str, str]) -> None:
    for lower, name in known.items():
        if lower in _RESERVED:
            raise SettingsError(f"models.{name}: expected another name: {_RESERVED[lower]}; call it `{name}_1`")
        for end, content in _OF_PROBES.items():
            other = known.get(lower.removesuffix(end))
            if lower.endswith(end) and other:
                raise SettingsError(
                    f"models.{name}: expected another name: data/probes/{name}.csv holds {content} of `{other}`; call "
                    f"it `{name}_1`"
                )


def check_rules(sections: Mapping[str, Any]) -> None:
    """Check what holds between keys of several sections, or of one for some of its values only."""
    detect, crop, tta, augment = sections["detect"], sections["crop"], sections["tta"], sections["train"].augment
    if tta.mode == "adaptive" and tta.min_views > tta.max_views:
        raise SettingsError(f"tta.min_views: expected at most tta.max_views = {tta.max_views}, found {tta.min_views}")
    if augment.mixup + augment.cutmix > 1:
        raise SettingsError(
            "train.augment.mixup: expected a sum with train.augment.cutmix of at most 1, for a batch has one of them; "
            f"found {augment.mixup} + {augment.cutmix}"
        )
    check_students(sections["students"], sections["models"])
    manual, models = sections["ensemble"].manual_weights, sections["models"]
    if manual is not None and (set(manual) != set(models) or not sum(manual.values())):
        raise SettingsError(
            f"ensemble.manual_weights: expected a weight for each of {', '.join(models)}, not all 0, found {manual}"
        )
    if sections["novelty"].max_false_alarms is not None and sections["train"].folds is not None:
        raise SettingsError(
            f"novelty.max_false_alarms: expected null with train.folds, whose networks have learned from val; found "
            f"{sections['novelty'].max_false_alarms} and {sections['train'].folds} folds; set one of them to null"
        )
    for name, segmenter in sections["segmenters"].items():
        _check_segmenter_side(name, segmenter)
    if crop.mode == "box":
        _check_detector(detect, crop)


def check_students(students: Mapping[str, ModelSettings], models: Mapping[str, ModelSettings]) -> None:
    """Check that no student has the name of a model, and that its input is made for a model, too."""
    names, inputs = {name.lower(): name for name in models}, sorted({model.input for model in models.values()})
    for name, student in students.items():
        other = names.get(name.lower())
        if other:
            raise SettingsError(
                f"students.{name}: expected another name than that of models.{other}; call it `{name}_student`"
            )
        if student.input not in inputs:
            raise SettingsError(
                f"students.{name}.input: expected the input of a model ({', '.join(inputs)}), found {student.input!r}"
            )


def _check_detector(detect: DetectSettings, crop: CropSettings) -> None:
    if crop.min_score < detect.min_score:
        raise SettingsError(
            f"crop.min_score: expected at least detect.min_score = {detect.min_score}, found {crop.min_score}; boxes "
            "below that are not kept, lower detect.min_score too"
        )
    classes = DETECTORS[detect.network].classes
    if not set(crop.classes) & set(classes):
        raise SettingsError(
            f"crop.classes: expected a class of the detector {detect.network}, found {', '.join(crop.classes)}; it "
            f"knows {', '.join(sorted(classes))}"
        )


def _check_segmenter_side(name: str, segmenter: SegmenterSettings) -> None:
    side, place = segmenter.side, f"segmenters.{name}.input_px"
    if segmenter.network.startswith("gluoncv/") and side != segmenter.spec.size:
        raise SettingsError(
            f"{place}: expected {segmenter.spec.size}, which is fixed in the graph of {segmenter.network}, found {side}"
        )
    smallest, largest = _SEGMENTER_SIDES
    if not smallest <= side <= largest:
        raise SettingsError(f"{place}: expected {smallest}..{largest}, found {side}")


def check_model(place: str, model: ModelSettings, sections: Mapping[str, Any], pretrained: Path) -> None:
    """Check that a model's backbone exists, its weights are provided and its own, and its sizes are possible.

    `place` is its entry, such as `models.lite0`; `pretrained` is the folder of pretrained networks, which may hold
    files of the user's.
    """
    if model.backbone not in catalogue.WEIGHTS:
        problem = f"unknown backbone `{model.backbone}`{suggestion(model.backbone, catalogue.WEIGHTS)}"
        raise SettingsError(f"{place}.backbone: {problem}")
    _check_weights(f"{place}.weights", model, pretrained)
    section, name = place.split(".")
    resolve(sections["train"], model, name, section)
    frame = sections["inputs"][model.input].frame_wh
    given = {f"{place}.input_px": model.input_px}
    for number, phase in enumerate(sections["train"].phases()):
        given[f"train.unfreeze[{number}].input_px"] = phase.input_px
    for key, side in given.items():
        _check_input_side(key, side, model.backbone, frame)


def _check_weights(place: str, model: ModelSettings, pretrained: Path) -> None:
    own, weights = catalogue.WEIGHTS[model.backbone], model.weights
    others = {file: backbone for backbone, file in catalogue.WEIGHTS.items() if backbone != model.backbone}
    if weights in (own, RANDOM_WEIGHTS):
        return
    if weights in others:
        raise SettingsError(
            f"{place}: expected weights of {model.backbone}, such as {own}, found those of {others[weights]}: {weights}"
        )
    if not _WEIGHTS_FILE.fullmatch(weights) or not (pretrained / weights).is_file():
        raise SettingsError(
            f"{place}: expected {own}, `{RANDOM_WEIGHTS}`, or a file of yours in {pretrained}, found {weights!r}, "
            "which is none of these"
        )


def _check_input_side(place: str, side: int | None, backbone: str, frame_wh: tuple[int, int]) -> None:
    longer = side or max(frame_wh)
    if longer > max(frame_wh):
        raise SettingsError(
            f"{place}: expected at most {max(frame_wh)}, the longer side of its input, found {side}; a "
            "network shrinks its inputs, and enlarged ones show no more"
        )
    shorter = round(min(frame_wh) * longer / max(frame_wh))
    if shorter < catalogue.min_side(backbone):
        raise SettingsError(
            f"{place}: expected inputs of {backbone} with a shorter side of {catalogue.min_side(backbone)} pixels or "
            f"more, found {shorter} (of a frame of {frame_wh[0]} x {frame_wh[1]}); enlarge it, or "
            "the width and height of its input"
        )


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
    if hint := unused_hardware(runtime, system.this_cpu(), cores.available()):
        print(f"check: {hint}")
    atomic.write_text(arguments.out, "Every section of params.yaml was read.\n")
    progress.summary("check", sections=len(SECTIONS), models=n_models)


if __name__ == "__main__":
    command.run(main)
