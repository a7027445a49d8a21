"""An experiment: u2netp with 8-bit convolutions, its masks against the float32 ones and against known ones.

Writes the quantised network, which `segmentation_speed.py --quantised` times. No stage uses it.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
from onnx import version_converter
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from benchmarks import carparts, timing
from stages.imaging import images, runtime, segmentation
from stages.imaging.networks import SEGMENTERS, Segmenter
from stages.imaging.runtime import Network, RuntimeParams
from stages.imaging.segmentation import SegmentParams
from stages.records import params, progress

# Per-channel weights in the quantised form need ONNX's 13th set of operators.
_OPSET = 13


class Calibration(CalibrationDataReader):  # type: ignore[misc]
    """Prepared crops, one by one, from which the ranges of all tensors are taken."""

    def __init__(self, paths: list[Path], spec: Segmenter, input_name: str) -> None:
        self._feeds: Iterator[dict[str, np.ndarray]] = (
            {input_name: segmentation.prepare(images.read(path), spec)[None]} for path in paths
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        """The next crop under the input's name, None after the last."""
        return next(self._feeds, None)


def quantise(source: Path, out: Path, paths: list[Path], spec: Segmenter) -> None:
    """Write the ONNX network `source` to `out` with 8-bit convolutions (static, QDQ, weights per channel)."""
    with tempfile.TemporaryDirectory() as folder:
        cut, plain = Path(folder) / "cut.onnx", Path(folder) / "plain.onnx"
        (graph_input,) = onnx.load(source).graph.input
        onnx.utils.extract_model(source, cut, [graph_input.name], [spec.output])
        graph = onnx.load(cut)
        graph.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
        onnx.save(version_converter.convert_version(graph, _OPSET), cut)
        # Shapes are constant once the batch is 1; ONNX Runtime folds what computes them.
        quant_pre_process(cut, plain, skip_symbolic_shape=True)
        quantize_static(
            plain,
            out,
            Calibration(paths, spec, graph_input.name),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv"],
        )


def agreement(paths: list[Path], exact: Network, quantised: Network, spec: Segmenter) -> np.ndarray:
    """The overlap (IoU) `(N,)` of both networks' masks of each crop, cut at 50 %."""
    overlaps = []
    for path in progress.track(paths, len(paths), "crop", "compare"):
        crop = images.read(path)
        prepared, size_wh = segmentation.prepare(crop, spec)[None], (crop.shape[1], crop.shape[0])
        found, true = (segmentation.segment(prepared, [size_wh], network)[0] > 127 for network in (quantised, exact))
        overlaps.append((found & true).sum() / max((found | true).sum(), 1))
    return np.array(overlaps)


def against_truth(folder: Path, networks: dict[str, Path], settings: Path) -> pd.DataFrame:
    """Overlaps with the known masks of `folder` (see carparts.py), a column per folder of networks."""
    photos = carparts.read_photos(folder)
    chosen = carparts.choose_boxes(photos, folder, networks["float32"], settings)
    return pd.DataFrame(
        {name: carparts.mask_overlaps(chosen, folder, path, settings) for name, path in networks.items()}
    )


def main() -> None:
    """Quantise, and print how far the masks moved."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="folder for the quantised network")
    parser.add_argument("--crops", type=Path, default=Path("data/crops"))
    parser.add_argument("--n-calibration", type=int, default=24)
    parser.add_argument("--n-compared", type=int, default=60)
    parser.add_argument("--truth", type=Path, help="folder of photos with known masks, as for carparts.py")
    parser.add_argument("--networks", type=Path, default=Path("models/pretrained"))
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    arguments = parser.parse_args()
    spec = SEGMENTERS[params.read(arguments.params, "segment", SegmentParams).network]
    crops = sorted(arguments.crops.glob("*.jpg"))
    arguments.out.mkdir(parents=True, exist_ok=True)
    quantise(arguments.networks / spec.file, arguments.out / spec.file, crops[: arguments.n_calibration], spec)
    plain = RuntimeParams(batch_size=1, engine="openvino", precision="f32")
    exact, quantised = (
        runtime.load(folder / spec.file, [spec.output], plain) for folder in (arguments.networks, arguments.out)
    )
    compared = crops[arguments.n_calibration :][: arguments.n_compared]
    timing.show(pd.Series(agreement(compared, exact, quantised, spec)).describe().to_frame("IoU"), "8-bit with float32")
    if arguments.truth:
        networks = {"float32": arguments.networks, "8-bit": arguments.out}
        timing.show(against_truth(arguments.truth, networks, arguments.params).describe(), "mask IoU with the truth")


if __name__ == "__main__":
    main()
