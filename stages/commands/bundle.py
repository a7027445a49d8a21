"""Write the trained ensemble into one folder, for prediction elsewhere.

The folder holds all that `python -m stages predict --model FOLDER` needs.
"""

import argparse
import shutil
from pathlib import Path

import onnx
import yaml

from stages.classifiers import inference, keras_to_onnx
from stages.commands import bundle_manifest
from stages.commands.inference_pipeline import SECTIONS, PreprocessingSettings
from stages.core import atomic, command, progress
from stages.core.settings import load as load_settings
from stages.ensemble import weighting
from stages.networks import onnx_graph
from stages.schemas import class_list

NETWORKS, MODELS = "networks", "models"


def copy_networks(settings: PreprocessingSettings, source: Path, out: Path) -> None:
    """Copy the detector's and the segmenters' files."""
    for file in settings.network_files():
        atomic.write_bytes(out / file, (source / file).read_bytes())


def export_models(names: list[str], models: Path, n_classes: int, out: Path) -> None:
    """Convert each of these trained models to `<name>.onnx`."""
    for name in progress.track(names, len(names), "model", "bundle"):
        graph = keras_to_onnx.convert(inference.load(models / name / "model.keras", n_classes))
        with atomic.replacing(out / f"{name}.onnx") as temporary:
            onnx.save(onnx_graph.canonical(onnx_graph.remove_noop_reshapes(onnx_graph.free_batch(graph))), temporary)


def copy_settings(source: Path, out: Path) -> None:
    """Copy the sections of params.yaml that prediction reads."""
    content = load_settings(source)
    atomic.write_text(out, yaml.safe_dump({name: content[name] for name in SECTIONS}, sort_keys=False))


def main() -> None:
    """Copy networks and settings, convert the models, write the manifest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, metavar="FOLDER", help="the folder to create")
    for name, default in (("params", "params.yaml"), ("classes", "data/classes.txt"), ("models", "models")):
        parser.add_argument(f"--{name}", type=Path, default=Path(default), help=f"default: {default}")
    args = parser.parse_args()
    if args.out.exists():
        parser.error(f"{args.out}: expected a folder that does not exist, found one; remove it or name another")
    classes = class_list.read_classes(args.classes)
    weights = weighting.read(args.models / "ensemble.json", classes).weights
    used = [name for name, weight in weights.items() if weight > 0]
    # Until it is complete, the folder has another name: an interrupted command leaves no partial bundle.
    unfinished = args.out.with_name(f".{args.out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    copy_networks(PreprocessingSettings.read(args.params), args.models / "pretrained", unfinished / NETWORKS)
    export_models(used, args.models, len(classes), unfinished / MODELS)
    copy_settings(args.params, unfinished / "params.yaml")
    for source, name in ((args.classes, "classes.txt"), (args.models / "ensemble.json", "ensemble.json")):
        atomic.write_bytes(unfinished / name, source.read_bytes())
    n_files = bundle_manifest.write(unfinished)
    unfinished.rename(args.out)
    progress.summary("bundle", files=n_files, models=len(used))


if __name__ == "__main__":
    command.run(main)
