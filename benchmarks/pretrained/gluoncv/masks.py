"""Compare exported GluonCV segmentation networks with mxnet on the same random weights: maps and seconds."""

import argparse
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import timing
from stages.core import environment
from stages.images import images
from stages.networks import runtime
from stages.networks.settings import InferenceSettings
from stages.pretrained import export
from stages.segment.segmenter import prepare
from stages.segment.settings import SegmenterSettings

_OPENVINO = InferenceSettings(batch_size=1, engine="openvino", precision="f32")
_ONNXRUNTIME = InferenceSettings(batch_size=1, engine="onnxruntime", precision="f32")


def compare(name: str, photos: list[Path], python: Path, out: Path) -> dict[str, float]:
    """The largest differences between the maps of one network and those of mxnet, and the seconds of both."""
    view = SegmenterSettings(network=f"gluoncv/{name}")
    inputs = np.stack([prepare(images.decode(images.load(path)), view) for path in photos])
    np.save(out / "inputs.npy", inputs)
    options = ["--network", name, "--inputs", str(out / "inputs.npy"), "--out", str(out)]
    subprocess.run([str(python), "-m", "benchmarks.pretrained.gluoncv.random_segmenter", *options], check=True)
    export.export(view.network, view.side, out, python, out / "network.onnx")
    network = runtime.load(out / "network.onnx", [view.spec.output], _OPENVINO)
    list(network(inputs[:1]))
    started = time.perf_counter()
    maps = np.stack([one[0] for (one,) in network(inputs)])
    seconds = (time.perf_counter() - started) / len(inputs)
    other_network = runtime.load(out / "network.onnx", [view.spec.output], _ONNXRUNTIME)
    other = np.stack([one[0] for (one,) in other_network(inputs)])
    with np.load(out / "expected.npz") as expected:
        return {
            "lowest": float(maps.min()),
            "highest": float(maps.max()),
            "largest difference, OpenVINO and mxnet": float(np.abs(maps - expected["maps"]).max()),
            "largest difference, ONNX Runtime and mxnet": float(np.abs(other - expected["maps"]).max()),
            "largest difference, OpenVINO and ONNX Runtime": float(np.abs(maps - other).max()),
            "s, OpenVINO f32": seconds,
            "s, mxnet": float(expected["seconds"]),
        }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "networks",
        nargs="*",
        default=["fcn_resnet101_voc", "deeplab_resnet101_coco"],
        help="names in GluonCV's model zoo",
    )
    parser.add_argument("--photos", type=Path, default=Path("data/sample/photos"))
    parser.add_argument("--limit", type=int, default=4, help="number of photos")
    parser.add_argument("--environment", type=Path, default=Path(".venv-gluoncv"), help="created if missing")
    parser.add_argument("--requirements", type=Path, default=Path("requirements-gluoncv.lock"))
    parser.add_argument("--out", type=Path, default=Path("logs/gluoncv"), help="folder for weights and maps")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    photos = sorted(arguments.photos.rglob("*.jpg"))[: arguments.limit]
    python = environment.ensure(arguments.environment, arguments.requirements)
    table = pd.DataFrame({name: compare(name, photos, python, arguments.out) for name in arguments.networks})
    timing.show(table, f"{len(photos)} photos; OpenVINO runs one per core, mxnet one after the other")


if __name__ == "__main__":
    main()
