"""What a network's 8-bit form is made from: the ranges of its inner tensors on some images, in a JSON file.

The file lies in Git, so that every machine makes the same 8-bit network from the same 32-bit one: ranges measured
again elsewhere differ in their last digits.
"""

from dataclasses import dataclass
from pathlib import Path

from stages.core import atomic, json_file
from stages.core.errors import UserError
from stages.pretrained.quantization import Offset

_ADVICE = "run `python -m stages calibrate`"


@dataclass(frozen=True)
class Calibration:
    """The least and greatest value of each tensor that a convolution reads, once the `offsets` are absorbed.

    `network_sha256` is that of the ONNX file that they were measured on, `n_images` how many images it saw.
    """

    network_sha256: str
    n_images: int
    offsets: list[Offset]
    ranges: dict[str, tuple[float, float]]


def read(path: Path) -> Calibration:
    """Read the file. Raises UserError where it is missing or damaged."""
    found = json_file.read(path, ["network_sha256", "n_images", "offsets", "ranges"], _ADVICE)
    try:
        return Calibration(
            str(found["network_sha256"]),
            int(found["n_images"]),
            [Offset(str(item["tensor"]), int(item["channel"]), float(item["value"])) for item in found["offsets"]],
            {str(name): (float(low), float(high)) for name, (low, high) in found["ranges"].items()},
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: expected offsets and ranges of tensors, found {error}; {_ADVICE}") from None


def write(path: Path, calibration: Calibration) -> None:
    """Write the file."""
    offsets = [offset._asdict() for offset in calibration.offsets]
    atomic.write_json(path, vars(calibration) | {"offsets": offsets})
