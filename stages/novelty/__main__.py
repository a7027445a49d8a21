"""Fit what tells photos of unknown classes: references and a threshold.

The references of every model come from train, the threshold from val; without a share of false alarms none is fitted.
"""

import argparse
from pathlib import Path

from stages.classifiers import onnx_outputs
from stages.core import atomic, command, json_file, progress, settings
from stages.core.archive import Archive
from stages.images.settings import input_names
from stages.novelty import detector
from stages.novelty.extraction import extract
from stages.novelty.fitting import FittedNovelty, fit_threshold
from stages.novelty.settings import NoveltySettings
from stages.schemas import class_list, split_data
from stages.schemas.manifest import SPLITS
from stages.schemas.split_data import SplitData
from stages.scoring.network_outputs import NetworkOutputs


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, help="folder of the inputs of the models")
    parser.add_argument("--models", type=Path, required=True, help="folder of the trained models")
    parser.add_argument(
        "--ensemble", type=Path, required=True, help="the fitted ensemble, which says whose weight is 0"
    )
    for name in ("params", "splits", "classes", "out", "details"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    return parser.parse_args()


def extract_all(args: argparse.Namespace, splits: dict[str, SplitData]) -> dict[str, dict[str, NetworkOutputs]]:
    """The outputs by split and by model, of the models that have a weight."""
    inputs = input_names(args.params)
    found: dict[str, dict[str, NetworkOutputs]] = {name: {} for name in splits}
    for model, weight in json_file.read(args.ensemble, ("weights",))["weights"].items():
        if weight > 0:
            network, images = (
                onnx_outputs.load(args.models / model / "model.onnx"),
                Archive(args.photos / inputs[model]),
            )
            for name, photos in splits.items():
                found[name][model] = extract(network, photos, images, f"novelty {model} {name}")
    return found


def main() -> None:
    """Fit and write; without a share of false alarms write that nothing is marked."""
    args = arguments()
    rule = settings.read(args.params, "novelty", NoveltySettings)
    if rule.max_false_alarms is None:
        fitted = FittedNovelty(None, {})
    else:
        splits = split_data.read(args.splits, class_list.read_classes(args.classes))
        used = {name: photos for name in SPLITS if (photos := splits[name]).image_ids}
        fitted = fit_threshold(extract_all(args, used), used, rule, rule.max_false_alarms)
    detector.write(args.out, fitted.detector)
    atomic.write_json(args.details, fitted.details)
    marked = {f"{name}_marked": fitted.details[name]["unknown"] for name in ("val", "test") if name in fitted.details}
    progress.summary("novelty", models=len(fitted.detector.members) if fitted.detector else 0, **marked)


if __name__ == "__main__":
    command.run(main)
