"""Train a GluonCV CenterNet from scratch for some minutes, export it, and compare its boxes with those of mxnet.

The server of the published weights may be unavailable. This tests without them that training, checkpoint, export,
input, heads and boxes fit together. Four of five photos of the sample are for training, the fifth for the test.
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
from stages.detect.detection import PhotoRow, detect_all
from stages.detect.settings import DetectSettings
from stages.images import boxes, images
from stages.images.boxes import COLUMNS as CORNERS
from stages.images.overlap import box_iou
from stages.networks import runtime
from stages.networks.catalogue import DETECTORS
from stages.pretrained import export
from stages.selection import main_car
from stages.selection.main_car import Candidates
from stages.sources.photos import Photos
from stages.sources.settings import SourceSettings

# Below this score, a box may be in only one of two lists of a hundred boxes.
_MIN_SCORE = 0.1


def split(truth: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The regular photos of the sample's ground truth: four of five for training, the fifth for the test."""
    table = pd.read_csv(truth).query("kind == 'car'").sort_values("path", ignore_index=True)
    is_test = table.index % 5 == 4
    return table[~is_test], table[is_test].copy()


def detect_onnx(photos: list[Path], network_file: Path, size: int, settings: DetectSettings) -> list[Detections]:
    """The detections in each photo, by the loop of the detect stage."""
    spec = replace(DETECTORS[settings.network], size=size)
    network = runtime.load(network_file, list(spec.outputs), settings.inference)
    rows = [
        PhotoRow(images.image_id(path.read_bytes()), path.resolve().relative_to("/").as_posix(), "test")
        for path in photos
    ]
    sources = Photos(SourceSettings(source="/"))
    return [objects for _, objects in detect_all(rows, sources, network, spec, settings)]


def read_mxnet(path: Path, sizes_wh: np.ndarray, min_score: float) -> list[Detections]:
    """The detections of mxnet, `(N, 6)` class, score and corners for each photo, clipped to the photo."""
    results = []
    with np.load(path) as arrays:
        for size_wh, name in zip(sizes_wh, arrays.files):
            rows = arrays[name][arrays[name][:, 1] >= min_score]
            corners = boxes.clip(rows[:, 2:], *size_wh)
            results.append(Detections(corners, rows[:, 1], rows[:, 0].astype(int)))
    return results


def differences(first: Detections, second: Detections) -> np.ndarray:
    """The largest corner difference, px, of each box of `first` above `_MIN_SCORE` from the nearest of its class."""
    is_compared = first.scores >= _MIN_SCORE
    distances = np.abs(first.boxes[is_compared, None] - second.boxes[None]).max(axis=2)
    distances[first.classes[is_compared, None] != second.classes[None]] = np.inf
    return distances.min(axis=1, initial=np.inf)


def main_car_ious(
    detected: list[Detections], names: tuple[str, ...], truth: pd.DataFrame, rule: CropSettings
) -> np.ndarray:
    """The IoU of each photo's main car, by the rule of the crop stage, with its true box; 0 if none is chosen.

    `truth` has a row per photo: corners, `width` and `height`.
    """
    ious = []
    for detections, box, size_wh in zip(
        detected, truth[CORNERS].to_numpy(float), truth[["width", "height"]].to_numpy()
    ):
        class_names = np.array([names[number] for number in detections.classes], dtype=str)
        selection = main_car.select_box(
            Candidates(detections.boxes, detections.scores, class_names), tuple(size_wh), rule
        )
        ious.append(0.0 if selection.index is None else float(box_iou(detections.boxes[selection.index], box)))
    return np.array(ious)


def train(arguments: argparse.Namespace, python: Path, folder: Path) -> pd.DataFrame:
    """Train and detect with GluonCV, with weights and detections in `folder`; return the rows of the test photos."""
    tables = dict(zip(("train", "test"), split(arguments.truth)))
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)
    command = [
        str(python),
        "-m",
        "benchmarks.pretrained.gluoncv.train_centernet",
        "--network",
        arguments.network,
        "--out",
        str(folder),
    ]
    for name in ("photos", "size", "epochs", "batch_size"):
        command += [f"--{name.replace('_', '-')}", str(vars(arguments)[name])]
    command += ["--train", str(folder / "train.csv"), "--test", str(folder / "test.csv")]
    subprocess.run(command, check=True)
    return tables["test"]


def compare(arguments: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Train, export, detect, and return the figures of both."""
    python = environment.ensure(arguments.environment, arguments.requirements)
    truth = train(arguments, python, folder)
    name = f"gluoncv/{arguments.network}"
    export.export(name, arguments.size, folder, python, folder / "network.onnx")
    settings = read_settings(arguments.params, "detect", DetectSettings).replace(network=name)
    photos = [arguments.photos / path for path in truth["path"]]
    detected = detect_onnx(photos, folder / "network.onnx", arguments.size, settings)
    truth[["height", "width"]] = [images.decode(images.load(path)).shape[:2] for path in photos]
    reference = read_mxnet(folder / "detections.npz", truth[["width", "height"]].to_numpy(), settings.min_score)
    forward = np.concatenate([differences(a, b) for a, b in zip(detected, reference)])
    backward = np.concatenate([differences(b, a) for a, b in zip(detected, reference)])
    rule = read_settings(arguments.params, "crop", CropSettings)
    figures: dict[str, object] = {
        "photos": len(photos),
        f"boxes of score {_MIN_SCORE} or more": len(forward),
        "largest difference, ONNX to mxnet, px": forward.max(initial=0),
        "largest difference, mxnet to ONNX, px": backward.max(initial=0),
        "share within 1 px": (np.concatenate([forward, backward]) <= 1).mean(),
    }
    for label, objects in (("ONNX", detected), ("mxnet", reference)):
        ious = main_car_ious(objects, DETECTORS[name].classes, truth, rule)
        figures |= {f"main car at IoU 0.5, {label}": (ious >= 0.5).mean(), f"mean IoU, {label}": ious.mean()}
    return figures


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="center_net_resnet18_v1b_voc", help="its name in GluonCV's model zoo")
    parser.add_argument("--photos", type=Path, default=Path("data/sample/photos"))
    parser.add_argument("--truth", type=Path, default=Path("data/sample/truth.csv"))
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--environment", type=Path, default=Path(".venv-gluoncv"), help="created if missing")
    parser.add_argument("--requirements", type=Path, default=Path("requirements-gluoncv.lock"))
    parser.add_argument("--out", type=Path, default=Path("logs/gluoncv"), help="folder for weights and detections")
    parser.add_argument("--size", type=int, default=128, help="side of the input in pixels, a multiple of 32")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=16)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    figures = compare(arguments, arguments.out)
    timing.show(pd.DataFrame({"": figures}), f"{arguments.network} at {arguments.size} px, {arguments.epochs} epochs")


if __name__ == "__main__":
    main()
