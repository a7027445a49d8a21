"""Write the trained ensemble, or a student, to a folder, to predict elsewhere.

The folder holds all that `python -m stages predict --model FOLDER` needs, and a model card, README.md.
"""

import argparse
import shutil
from pathlib import Path

import yaml

from stages.commands import bundle_card, bundle_manifest, run_settings
from stages.commands.bundle_card import RunFiles
from stages.commands.inference_pipeline import SECTIONS, PreprocessingSettings
from stages.core import atomic, command, progress
from stages.core.errors import UserError
from stages.core.settings import load as load_settings
from stages.core.settings_errors import suggestion
from stages.ensemble import weighting
from stages.novelty import detector
from stages.schemas import class_list

NETWORKS, MODELS = "networks", "models"


def copy_networks(settings: PreprocessingSettings, source: Path, out: Path) -> None:
    """Copy the detector's and the segmenters' files."""
    for file in settings.network_files():
        atomic.write_bytes(out / file, (source / file).read_bytes())


def copy_models(names: list[str], models: Path, out: Path) -> None:
    """Copy each of these trained models in the folder `models` to `<name>.onnx`."""
    for name in names:
        path = models / name / "model.onnx"
        if not path.is_file():
            raise UserError(f"{path}: expected a trained model, found none; run `dvc repro`")
        atomic.write_bytes(out / f"{name}.onnx", path.read_bytes())


def copy_settings(source: Path, models: list[str], section: str, out: Path) -> None:
    """Copy the sections of params.yaml that prediction reads, and the entries of `models` and of their inputs.

    The models are entries of `section`, which is `models` or `students`; the copy has them under `models`.
    """
    content = load_settings(source)
    entries = {name: content[section][name] for name in models}
    inputs = {name: content["inputs"][name] for name in sorted({entry["input"] for entry in entries.values()})}
    copied = {name: content[name] for name in SECTIONS}
    atomic.write_text(out, yaml.safe_dump(copied | {"inputs": inputs, "models": entries}, sort_keys=False))


def trained(args: argparse.Namespace) -> tuple[str, Path, Path]:
    """The section of params.yaml that names what is bundled, its folder of models, and its file of weights."""
    if args.model is None:
        return "models", args.models, args.models / "ensemble.json"
    students = load_settings(args.params).get("students") or {}
    if args.model not in students:
        raise UserError(
            f"{args.params}: expected an entry of `students`, found none called `{args.model}`"
            f"{suggestion(args.model, students)}"
        )
    return "students", args.models / "students", args.models / "students" / f"{args.model}.json"


def require_settings_of_run(params: Path, models: list[str], section: str) -> None:
    """Raise UserError where `params` is no longer what trained and weighted `models`, entries of a `section`.

    The bundle would prepare photos in another way than the models have learnt.
    """
    entries = load_settings(params).get(section) or {}
    for name in models:
        if name not in entries:
            raise UserError(f"{params}: expected {name} under `{section}`, found {', '.join(entries)}; run `dvc repro`")
    stages = run_settings.stages_of({name: entries[name]["input"] for name in models}, section)
    changed = run_settings.changes(params, params.with_name("dvc.lock"), stages)
    if changed:
        raise UserError(
            f"{params}: expected the settings of the run that trained the models, found others "
            f"({run_settings.listed(changed)}); run `dvc repro`, or take the changes back"
        )


def copy_detector(source: Path, out: Path) -> None:
    """Copy the novelty detector, if there is one and it marks photos."""
    if source.is_file() and detector.read(source) is not None:
        atomic.write_bytes(out, source.read_bytes())


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, metavar="FOLDER", help="the folder to create")
    parser.add_argument("--model", metavar="STUDENT", help="an entry of `students`; default: the ensemble")
    for name, default in (
        ("params", "params.yaml"),
        ("classes", "data/classes.txt"),
        ("models", "models"),
        ("metrics", "metrics"),
        ("data", "data"),
    ):
        parser.add_argument(f"--{name}", type=Path, default=Path(default), help=f"default: {default}")
    args = parser.parse_args()
    if args.out.exists():
        parser.error(f"{args.out}: expected a folder that does not exist, found one; remove it or name another")
    return args


def main() -> None:
    """Copy networks, models and settings, write the model card and the manifest."""
    args = arguments()
    classes = class_list.read_classes(args.classes)
    section, models, ensemble = trained(args)
    saved = weighting.read(ensemble, classes)
    used = [name for name, weight in saved.weights.items() if weight > 0]
    require_settings_of_run(args.params, used, section)
    card = bundle_card.render(RunFiles(args.params, args.metrics, args.data), classes, saved, section)
    # Until it is complete, the folder has another name: an interrupted command leaves no partial bundle.
    unfinished = args.out.with_name(f".{args.out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    copy_settings(args.params, used, section, unfinished / "params.yaml")
    preprocessing = PreprocessingSettings.read(unfinished / "params.yaml", used)
    copy_networks(preprocessing, args.models / "pretrained", unfinished / NETWORKS)
    copy_models(used, models, unfinished / MODELS)
    for source, name in ((args.classes, "classes.txt"), (ensemble, "ensemble.json")):
        atomic.write_bytes(unfinished / name, source.read_bytes())
    atomic.write_text(unfinished / bundle_manifest.CARD, card)
    if section == "models":
        copy_detector(args.models / "novelty.npz", unfinished / "novelty.npz")
    n_files = bundle_manifest.write(unfinished)
    unfinished.rename(args.out)
    progress.summary("bundle", files=n_files, models=len(used))


if __name__ == "__main__":
    command.run(main)
