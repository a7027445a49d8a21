"""Write the 8-bit form of a network, by the ranges of a calibration."""

import argparse
from pathlib import Path

import onnx

from stages.core import atomic, command, progress
from stages.core.errors import UserError
from stages.core.result_cache import digest_of
from stages.networks import onnx_graph
from stages.pretrained import calibration, quantization


def quantize(source: Path, ranges: Path, out: Path) -> int:
    """Write the 8-bit form of the ONNX file `source` to `out`; return how many convolutions have 8 bits.

    Raises UserError where the ranges are those of another network.
    """
    known, found = calibration.read(ranges), digest_of([source])
    if known.network_sha256 != found:
        raise UserError(
            f"{ranges}: expected ranges of {source} with the SHA-256 {found}, found those of {known.network_sha256}; "
            "run `python -m stages calibrate`"
        )
    plain = quantization.with_opset(onnx.load(source))
    quantised = quantization.quantize(quantization.absorb_offsets(plain, known.offsets), known.ranges)
    with atomic.replacing(out) as temporary:
        onnx.save(onnx_graph.canonical(quantised), temporary)
    return sum(node.input[0] in known.ranges for node in quantization.convolutions(plain))


def main() -> None:
    """Quantise, and print the size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True, help="the network: .onnx")
    parser.add_argument("--calibration", type=Path, required=True, help="its ranges: .json")
    parser.add_argument("--out", type=Path, required=True, help="file to write: .onnx")
    arguments = parser.parse_args()
    n_convolutions = quantize(arguments.source, arguments.calibration, arguments.out)
    size = arguments.out.stat().st_size
    progress.summary(f"quantize {arguments.out.name}", bytes=size, convolutions_of_8_bits=n_convolutions)


if __name__ == "__main__":
    command.run(main)
