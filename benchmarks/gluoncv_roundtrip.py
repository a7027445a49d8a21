"""A GluonCV CenterNet trained from nothing for some minutes, exported, and compared with what mxnet itself finds.

Its published weights need a server that may not answer; this shows without them that training, checkpoint, export,
input, heads and boxes fit together. Four of five of the sample's photos train, the fifth is looked at.
"""

import argparse
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import timing
from stages.core import environment
from stages.core.settings import read as read_settings
from stages.crop.settings import CropSettings
from stages.detect.centernet import Detections
from stages.detect.detection import detect_all
from stages.detect.settings import DetectSettings
from stages.images import boxes, images
from stages.images.boxes import COLUMNS as CORNERS
from stages.images.overlap import box_iou
from stages.networks import runtime
from stages.networks.catalogue import DETECTORS
from stages.pretrained import export
from stages.selection import main_car
from stages.selection.main_car import Candidates

# Below it a list of a hundred boxes may end elsewhere, or one box rise above the limit in one list alone.
_SURE = 0.1


def split(truth: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The regular photos of the sample's truth: four of five to train on, the fifth to look at."""
    table = pd.read_csv(truth).query("kind == 'car'").sort_values("path", ignore_index=True)
    is_test = table.index % 5 == 4
    return table[~is_test], table[is_test].copy()


def ours(photos: list[Path], network_file: Path, size: int, settings: DetectSettings) -> list[Detections]:
    """What the detect stage's own loop finds in each photo."""
    spec = replace(DETECTORS[settings.network], size=size)
    network = runtime.load(network_file, list(spec.outputs), settings.inference)
    rows = [(images.image_id(path.read_bytes()), str(path.resolve())) for path in photos]
    return [found for _, found in detect_all(rows, Path("/"), network, spec, settings)]


def theirs(found: Path, sizes_wh: np.ndarray, min_score: float) -> list[Detections]:
    """What mxnet found, `(N, 6)` class, score and corners a photo, cut at the photo's edges as ours is."""
    results = []
    with np.load(found) as arrays:
        for size_wh, name in zip(sizes_wh, arrays.files):
            rows = arrays[name][arrays[name][:, 1] >= min_score]
            corners = boxes.clip(rows[:, 2:], *size_wh)
            results.append(Detections(corners, rows[:, 1], rows[:, 0].astype(int)))
    return results


def differences(first: Detections, second: Detections) -> np.ndarray:
    """For each sure box of `first`, the largest difference of its corners, px, from the nearest of its class."""
    is_sure = first.scores >= _SURE
    apart = np.abs(first.boxes[is_sure, None] - second.boxes[None]).max(axis=2)
    apart[first.classes[is_sure, None] != second.classes[None]] = np.inf
    return apart.min(axis=1, initial=np.inf)


def overlaps(found: list[Detections], names: tuple[str, ...], truth: pd.DataFrame, rule: CropSettings) -> np.ndarray:
    """The overlap of each photo's main car, by the crop stage's rule, with its true box; 0 where none is chosen.

    `truth` has a row per photo: corners, `width` and `height`.
    """
    scores = []
    for detections, box, size_wh in zip(found, truth[CORNERS].to_numpy(float), truth[["width", "height"]].to_numpy()):
        named = np.array([names[number] for number in detections.classes], dtype=str)
        choice = main_car.select_box(Candidates(detections.boxes, detections.scores, named), tuple(size_wh), rule)
        scores.append(0.0 if choice.index is None else float(box_iou(detections.boxes[choice.index], box)))
    return np.array(scores)


def train(arguments: argparse.Namespace, python: Path, folder: Path) -> pd.DataFrame:
    """Let GluonCV train and find, its weights and findings in `folder`; the rows of the photos looked at."""
    tables = dict(zip(("train", "test"), split(arguments.truth)))
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    command = [str(python), "-m", "benchmarks.gluoncv_student", "--network", arguments.network, "--out", str(folder)]
    for name in ("photos", "size", "epochs", "batch_size"):
        command += [f"--{name.replace('_', '-')}", str(vars(arguments)[name])]
    command += ["--train", str(folder / "train.csv"), "--test", str(folder / "test.csv")]
    subprocess.run(command, check=True)
    return tables["test"]


def compare(arguments: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Train, export, find, and the figures of both."""
    python = environment.ensure(arguments.environment, arguments.requirements)
    truth = train(arguments, python, folder)
    name = f"gluoncv/{arguments.network}"
    export.export(name, arguments.size, folder, python, folder / "network.onnx")
    settings = read_settings(arguments.params, "detect", DetectSettings).replace(network=name)
    photos = [arguments.photos / path for path in truth["path"]]
    mine = ours(photos, folder / "network.onnx", arguments.size, settings)
    truth[["height", "width"]] = [images.decode(images.load(path)).shape[:2] for path in photos]
    reference = theirs(folder / "found.npz", truth[["width", "height"]].to_numpy(), settings.min_score)
    apart = np.concatenate([differences(a, b) for a, b in zip(mine, reference)])
    back = np.concatenate([differences(b, a) for a, b in zip(mine, reference)])
    rule = read_settings(arguments.params, "crop", CropSettings)
    figures: dict[str, object] = {
        "photos": len(photos),
        f"boxes of score {_SURE} or more": len(apart),
        "largest difference from mxnet's, px": apart.max(initial=0),
        "largest difference of mxnet's from them, px": back.max(initial=0),
        "share within 1 px": (np.concatenate([apart, back]) <= 1).mean(),
    }
    for label, found in (("ours", mine), ("mxnet", reference)):
        scores = overlaps(found, DETECTORS[name].classes, truth, rule)
        figures |= {f"main car at IoU 0.5, {label}": (scores >= 0.5).mean(), f"mean IoU, {label}": scores.mean()}
    return figures


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="center_net_resnet18_v1b_voc", help="its name in GluonCV's zoo")
    parser.add_argument("--photos", type=Path, default=Path("data/sample/photos"))
    parser.add_argument("--truth", type=Path, default=Path("data/sample/truth.csv"))
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--environment", type=Path, default=Path(".venv-gluoncv"), help="made on demand")
    parser.add_argument("--requirements", type=Path, default=Path("requirements-gluoncv.lock"))
    parser.add_argument("--out", type=Path, default=Path("logs/gluoncv"), help="folder for weights and findings")
    parser.add_argument("--size", type=int, default=128, help="side of the input in pixels, a multiple of 32")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=16)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    figures = compare(arguments, arguments.out)
    timing.show(pd.DataFrame({"": figures}), f"{arguments.network} at {arguments.size} px, {arguments.epochs} epochs")


if __name__ == "__main__":
    main()
